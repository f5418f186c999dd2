---@meta sanctum
-- The spell API, for editors that use LuaLS. `sanctum new` puts a copy beside your spells.
-- A test holds this file to what the binary has.

-- Energies

---What an energy may hold: a scalar, a list or a map.
---@alias sanctum.Data nil|boolean|integer|number|string|table

---Milliseconds, or a text such as `"500ms"`, `"10s"`, `"1h"`.
---@alias sanctum.Duration integer|string

---An energy: data and, of the envelope, `$topic`. An output sets more of the envelope by its `$` keys.
---@class sanctum.Energy
---@field ["$topic"]? string what happened: tokens split by dots, `orders.eu.placed`
---@field ["$stream"]? string which entity it belongs to; default: the topic
---@field ["$id"]? string a UUID; derived where it is absent
---@field ["$time"]? integer|string milliseconds since 1970, or RFC 3339; default: the input's time
---@field ["$tags"]? table<string, string>
---@field ["$ttl"]? string `"forever"`, `"ephemeral"`, `"time:MS"`, `"last:N"`
---@field ["$expect"]? string|integer `"any"`, `"none"`, or the last version of the stream
---@field ["$content"]? string digest of a blob
---@field [any] any

---The rest of an energy's envelope: read-only, and valid during its cast only.
---@class sanctum.Envelope
---@field id string a UUID
---@field position? integer place in the log: 0, 1, 2 …; nil for one that a live spell casts and no log stores
---@field version integer place in its stream: 0, 1, 2 …
---@field time integer milliseconds since 1970, UTC
---@field topic? string
---@field stream? string
---@field correlation? string id of the first ancestor; nil for a seed
---@field causation? string id of the energy whose cast produced this one; nil for a seed
---@field hops integer how many casts lie between it and its seed
---@field tags table<string, string>
---@field ttl string
---@field content? string digest of a blob

-- Spells

---What a spell may use; each has a default.
---@class sanctum.Limits
---@field memory? integer|string Lua memory of a VM: `"32MiB"`
---@field instructions? integer|string VM instructions of a cast
---@field time? sanctum.Duration wall time of a cast: `"5s"`
---@field outputs? integer|string energies that a cast may produce
---@field event_bytes? integer|string encoded size of an energy's data
---@field hops? integer|string casts between an energy and its seed
---@field print_bytes? integer|string what a cast may print and log
---@field state_bytes? integer|string all that the spell remembers
---@field state_cache_bytes? integer|string memory for the state of each lane; a durable log holds the rest
---@field queue? integer|string energies that may wait for a lane

---How energies are gathered for a cast.
---@class sanctum.Batch
---@field size? integer a batch of this size is cast at once; default 100
---@field within? sanctum.Duration a smaller one is cast when its first energy is this old

---Conditions of a table filter on one field; a bare value is `eq`.
---@class sanctum.Condition
---@field eq? any equals
---@field ne? any does not equal; holds for a missing field
---@field gt? number|string
---@field ge? number|string
---@field lt? number|string
---@field le? number|string
---@field ["in"]? any[] equals a member
---@field exists? boolean is there, or is not
---@field prefix? string
---@field suffix? string
---@field contains? any is a string with that part, or a list with that member
---@field all? any[] every one of these conditions
---@field any? any[] at least one
---@field none? any[] none

---Paths to conditions; `all`, `any` and `none` combine filters.
---@alias sanctum.Filter table<string, boolean|number|string|sanctum.Condition|sanctum.Filter[]>

---What a spell's file returns. Only `cast` is required.
---@class sanctum.Spell
---@field name? string default: the file's name without `.lua`
---@field topic? string|string[] patterns: `*` is one token, `>` one or more at the end; absent: every energy
---@field filter? sanctum.Filter|fun(event: sanctum.Energy, envelope: sanctum.Envelope): any
---@field lane? string path of the partition key: same key, same VM, in order
---@field lanes? integer how many VMs share the keys
---@field batch? sanctum.Batch `cast` receives a list of energies and a list of envelopes
---@field every? sanctum.Duration how often `tick` is called, in the energies' time
---@field reads? string[] the fields that the spell needs; a hint
---@field nulls? boolean a null in a map reaches the spell as `null`
---@field was? string what it was called before: on a durable log it goes on where that one stood
---@field start? "new"|"oldest"|integer|string where in an existing log a new spell begins
---@field fault? "stop"|"skip"|"retry"|"quarantine" what a fault does
---@field ward? boolean in a server it runs only if its golden cases pass
---@field shadow? string the spell that it is compared with; what it produces is dropped
---@field version? integer the version of what it keeps; default 0
---@field migrate? fun(old_version: integer, state: sanctum.State) once, when what it keeps is of another version; it cannot emit
---@field limits? sanctum.Limits
---@field prepare? fun(runes: table) once, before the first cast; it cannot emit
---@field cast fun(event: sanctum.Energy, envelope: sanctum.Envelope): ... nil, an energy, or a list of energies, any number of them
---@field tick? fun(now: integer): ... returns what `cast` returns
---@field unprepare? fun() once, at the end; it cannot emit

---What the file of a projection returns.
---@class sanctum.Projection
---@field topic? string|string[] patterns; absent: every energy
---@field by? "stream"|string what has a state of its own: the stream, or the path of a field; absent: one state for all
---@field seed? any the state before the first energy of a key
---@field fold fun(state: any, event: sanctum.Energy, envelope: sanctum.Envelope): any the new state; nil forgets the key
---@field snapshot_every? integer energies between two snapshots; default 1000
---@field nulls? boolean a null in a map reaches the fold as `null`
---@field limits? sanctum.Limits

---@alias Projection sanctum.Projection
---@alias Spell sanctum.Spell
---@alias Energy sanctum.Energy
---@alias Envelope sanctum.Envelope

-- Globals

---The options that the runeset gives this spell.
---@type table
runes = {}

---Null: in lists always, in maps for a spell with `nulls = true`.
---@type userdata
null = nil

---Produces energies from the middle of a cast, as returning them does.
---@param ... sanctum.Energy|sanctum.Energy[]
function emit(...) end

---Marks a table as a list, so that it is one even when it is empty.
---@generic T
---@param list? T[]
---@return T[]
function array(list) end

---A random number that is the same in every run: a float from 0, below 1; an integer from 1 to `m`; one from `m` to `n`.
---@overload fun(): number
---@overload fun(m: integer): integer
---@param m integer
---@param n integer
---@return integer
function random(m, n) end

---A UUID derived from the input; another one at each call.
---@return string
function uuid() end

---Loads a module below the spell's own folder: `require("shop.tax")` is `shop/tax.lua` or `shop/tax/init.lua`.
---@param name string
---@return any
function require(name) end

-- State

---A key: a string, a number, a boolean, or a list of those.
---@alias sanctum.Key string|number|boolean|(string|number|boolean)[]

---Which part of a map, and in which order.
---@class sanctum.Range
---@field from? sanctum.Key part of the range
---@field to? sanctum.Key no part of it
---@field prefix? sanctum.Key beginning of a string, or the first elements of a list
---@field limit? integer
---@field reverse? boolean

---An ordered map that lasts from cast to cast: `state.total = (state.total or 0) + event.amount`. In a spell with a
---lane it is that of the current key. The names of methods are no keys: use `get` and `set` for those.
---@class sanctum.State
---@field [sanctum.Key] any
state = {}

---The value of a key, or the default.
---@param key sanctum.Key
---@param default? any
---@return any
function state:get(key, default) end

---Sets a key; nil deletes it.
---@param key sanctum.Key
---@param value any
function state:set(key, value) end

---Deletes a key; returns whether it was there.
---@param key sanctum.Key
---@return boolean
function state:delete(key) end

---How many keys there are.
---@return integer
function state:count() end

---Goes through keys and values in order.
---@param range? sanctum.Range
---@return fun(): sanctum.Key, any
function state:range(range) end

sanctum = {}

---Another map of the spell's own, used like `state`.
---@param name string
---@return sanctum.State
function sanctum.bucket(name) end

-- Log

---Lines for the operator, on standard error. A table is shown as JSON.
log = {}
---@param ... any
function log.debug(...) end
---@param ... any
function log.info(...) end
---@param ... any
function log.warn(...) end
---@param ... any
function log.error(...) end

-- Codecs

json = {}

---JSON with its keys in a fixed order.
---@param value sanctum.Data
---@param options? { pretty?: boolean }
---@return string
function json.encode(value, options) end

---An error names line and column.
---@param text string
---@return any
function json.decode(text) end

msgpack = {}

---Canonical MessagePack: equal data gives equal bytes.
---@param value sanctum.Data
---@return string
function msgpack.encode(value) end

---@param bytes string
---@return any
function msgpack.decode(bytes) end

base64 = {}

---@param bytes string
---@param alphabet? "url" for addresses and file names, without padding
---@return string
function base64.encode(bytes, alphabet) end

---@param text string
---@param alphabet? "url"
---@return string
function base64.decode(text, alphabet) end

hash = {}

---Lower-case hexadecimal.
---@param bytes string
---@return string
function hash.blake3(bytes) end

---Lower-case hexadecimal.
---@param bytes string
---@return string
function hash.sha256(bytes) end

---As in zlib.
---@param bytes string
---@return integer
function hash.crc32(bytes) end

---Content that is too large for an energy.
blob = {}

---Keeps content and returns its digest.
---@param bytes string
---@return string digest
function blob.put(bytes) end

---The content, or nil where it is not there or the cast may not see it.
---@param digest string
---@return string?
function blob.get(digest) end

-- Time

---Moments are milliseconds since 1970, UTC. There is no clock.
time = {}

---The time of the energy being cast; in `tick`, the time that was due.
---@return integer
function time.now() end

---RFC 3339 with milliseconds, or by a format of strftime; `%f` and `%3f` are fractions of a second.
---@param ms? integer default: now
---@param format? string
---@return string
function time.format(ms, format) end

---Milliseconds, or nil and what is wrong.
---@param text string
---@param format? string
---@return integer? ms
---@return string? problem
function time.parse(text, format) end

---The start of the span of that size in which `ms` lies.
---@param ms integer
---@param size sanctum.Duration
---@return integer
function time.floor(ms, size) end

-- Windows

---A window that is complete, or open.
---@class sanctum.Pane
---@field ["$topic"]? string
---@field key sanctum.Key
---@field start integer the first moment of the span
---@field stop integer the first moment after it
---@field value any the accumulator

---@alias sanctum.Fold "count"|"sum"|"min"|"max"|"first"|"last"|"list"|fun(accumulator: any, value: any, key: sanctum.Key): any

---@class sanctum.WindowOptions
---@field fold? sanctum.Fold what is made of the values; default `"list"`
---@field initial? any the first accumulator: data, or a function that makes it
---@field late? sanctum.Duration how long a window stays open after its end; default 0
---@field topic? string the `$topic` of each result
---@field late_topic? string the `$topic` of what comes too late, which is then among the results
---@field name? string of the bucket that keeps the data; two windows of a spell need two names

---@class sanctum.TumblingOptions : sanctum.WindowOptions
---@field size sanctum.Duration
---@field top? integer only so many keys of each span come out, those with the highest values

---@class sanctum.HoppingOptions : sanctum.WindowOptions
---@field size sanctum.Duration
---@field every sanctum.Duration one begins at each multiple of this
---@field top? integer only so many keys of each span come out, those with the highest values

---@class sanctum.SessionOptions : sanctum.WindowOptions
---@field gap sanctum.Duration a span ends this long after its last energy
---@field merge? fun(earlier: any, later: any): any

---@class sanctum.Window
local Window = {}

---Adds a value; returns the windows that are complete now, in the order of their ends.
---@param key sanctum.Key
---@param time? integer default: the input's
---@param value? any
---@return sanctum.Pane[]
function Window:add(key, time, value) end

---Completes what ends by then.
---@param time integer
---@return sanctum.Pane[]
function Window:advance(time) end

---Completes everything.
---@return sanctum.Pane[]
function Window:close() end

---Lists what is open, and leaves it so.
---@return sanctum.Pane[]
function Window:open() end

---How many values came too late and were not counted in.
---@return integer
function Window:late() end

---Groups what arrives by a key and by spans of the energies' own time. Make windows at the top of the file or in `prepare`.
window = {}

---Spans side by side, cut at multiples of `size`.
---@param options sanctum.TumblingOptions
---@return sanctum.Window
function window.tumbling(options) end

---Spans that begin at each multiple of `every`, and overlap where `size` is longer.
---@param options sanctum.HoppingOptions
---@return sanctum.Window
function window.hopping(options) end

---A span for each burst of a key.
---@param options sanctum.SessionOptions
---@return sanctum.Window
function window.session(options) end

-- Tables, duplicates, rankings

---@class sanctum.TableOptions
---@field name string of the bucket that keeps the data; two tables of a spell need two names
---@field late? sanctum.Duration how long a value waits for the rows of its time; default 0
---@field topic? string the `$topic` of each pair

---A value with the row of its key.
---@class sanctum.Pair
---@field ["$topic"]? string
---@field key sanctum.Key
---@field time integer that of the value
---@field value any
---@field row any as it was at that time; nil where there was none
---@field late? boolean true where the value came too late to wait

---@class sanctum.Table
local Table = {}

---This is the row of the key from that time on; nil for none. Returns what waits no longer.
---@param key sanctum.Key
---@param time? integer default: the input's
---@param row? any
---@return sanctum.Pair[]
function Table:set(key, time, row) end

---The row as it was at that time.
---@param key sanctum.Key
---@param time? integer default: the input's
---@return any
function Table:get(key, time) end

---Joins a value with the row of its key at that time. Returns what waits no longer.
---@param key sanctum.Key
---@param time? integer default: the input's
---@param value? any
---@return sanctum.Pair[]
function Table:join(key, time, value) end

---Says that it is that time.
---@param time integer
---@return sanctum.Pair[]
function Table:advance(time) end

---Lets nothing wait.
---@return sanctum.Pair[]
function Table:close() end

---How many rows and values came too late.
---@return integer
function Table:late() end

---Rows that change with time, to join energies with. Make it at the top of the file or in `prepare`.
---@param options sanctum.TableOptions
---@return sanctum.Table
function sanctum.table(options) end

---@class sanctum.DedupeOptions
---@field within sanctum.Duration how far apart two energies of a key have to be
---@field late? sanctum.Duration how far out of order energies may come; default: as `within`
---@field name? string of the bucket that keeps the data

---@class sanctum.Dedupe
local Dedupe = {}

---Whether the key is new, and not a duplicate; nil where it came too late to tell.
---@param key sanctum.Key
---@param time? integer default: the input's
---@return boolean?
function Dedupe:add(key, time) end

---How many came too late to tell.
---@return integer
function Dedupe:late() end

---Tells new keys from those that came before. Make it at the top of the file or in `prepare`.
---@param options sanctum.DedupeOptions
---@return sanctum.Dedupe
function sanctum.dedupe(options) end

---@class sanctum.TopOptions
---@field n integer how many keys are kept
---@field name? string of the bucket that keeps the data

---@class sanctum.Ranked
---@field key sanctum.Key
---@field score number
---@field value any

---@class sanctum.Top
local Top = {}

---The score of a key is this now; nil takes it out. Returns whether the list is another one for it.
---@param key sanctum.Key
---@param score? number
---@param value? any
---@return boolean
function Top:add(key, score, value) end

---The keys with the highest scores, highest first.
---@return sanctum.Ranked[]
function Top:list() end

---The keys with the highest scores. Make it at the top of the file or in `prepare`.
---@param options sanctum.TopOptions
---@return sanctum.Top
function sanctum.top(options) end

-- Statistics

---A running mean and variance; plain data, for `state`.
---@class sanctum.Welford
---@field count integer
---@field mean number
---@field m2 number
---@field min number
---@field max number

---@class sanctum.Summary
---@field count integer
---@field mean number
---@field variance number
---@field stddev number
---@field min number
---@field max number

stats = {}

---@param list number[]
---@return number
function stats.sum(list) end

---@param list number[]
---@return number?
function stats.mean(list) end

---@param list number[]
---@return number?
function stats.min(list) end

---@param list number[]
---@return number?
function stats.max(list) end

---@param list number[]
---@return number?
function stats.median(list) end

---Of the list as a whole: divided by n.
---@param list number[]
---@return number?
function stats.variance(list) end

---@param list number[]
---@return number?
function stats.stddev(list) end

---0 to 100, between two values by their distance; of a list of those, a list.
---@overload fun(list: number[], percents: number[]): number[]?
---@param list number[]
---@param percent number
---@return number?
function stats.percentile(list, percent) end

---Counts: up to the first bound, above it up to the second, and so on, above the last.
---@param list number[]
---@param bounds number[]
---@return integer[]
function stats.histogram(list, bounds) end

---Which part of a histogram a value falls into, from 1.
---@param bounds number[]
---@param value number
---@return integer
function stats.bucket(bounds, value) end

---Exponential average; nil as `average` begins it.
---@param average? number
---@param value number
---@param weight number of the new value, 0 to 1
---@return number
function stats.ewma(average, value, weight) end

---The last `size` values, and their mean; nil as `kept` begins it.
---@param kept? table
---@param value number
---@param size integer
---@return table kept
---@return number mean
function stats.moving(kept, value, size) end

---Adds a value to an accumulator; nil begins it.
---@param accumulator? sanctum.Welford
---@param value number
---@return sanctum.Welford
function stats.welford(accumulator, value) end

---@param accumulator sanctum.Welford
---@return sanctum.Summary
function stats.summary(accumulator) end

---Two accumulators made one.
---@param a? sanctum.Welford
---@param b? sanctum.Welford
---@return sanctum.Welford
function stats.merge(a, b) end
