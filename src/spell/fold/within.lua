-- Runs the chunk of a projection, and makes what it returns a spell: its cast folds an energy into what `state`
-- keeps for the energy's key. What a fold has no use for says so when it is touched.
local chunk = ...
local kept, get, set = state, state.get, state.set
local encode, decode = msgpack.encode, msgpack.decode
local error, pcall, rawget, rawset, select, setmetatable, type =
  error, pcall, rawget, rawset, select, setmetatable, type
local KEY = true

for name, instead in pairs({
  emit = "emit: it produces no energies, a spell does",
  state = "state: it keeps what `fold` returns, and nothing else",
  sanctum = "buckets: it keeps what `fold` returns, and nothing else",
  stats = "stats: it keeps what `fold` returns, and nothing else",
  window = "window: it keeps what `fold` returns, and nothing else",
}) do
  local function refuse() error("a projection has no " .. instead, 2) end
  _G[name] = setmetatable({}, { __index = refuse, __newindex = refuse, __call = refuse })
end

local function keep(...)
  if select("#", ...) == 0 then
    error("it returned nothing; it returns the new state, or nil to forget the key", 0)
  end
  local ok, why = pcall(set, kept, KEY, (...))
  if not ok then
    error("the state cannot be kept: " .. (why:match("kept: (.*)") or why), 0)
  end
end

local module = chunk()
if type(module) ~= "table" then
  return module
end
local fold, is_data, seed = rawget(module, "fold"), pcall(encode, rawget(module, "seed"))
local has_seed = is_data and rawget(module, "seed") ~= nil
rawset(module, "cast", function(event, envelope)
  local before = get(kept, KEY)
  if before == nil and has_seed then
    before = decode(seed)
  end
  keep(fold(before, event, envelope))
end)
return module
