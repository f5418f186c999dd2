//! The spells that are run: each keeps something, and together they do all that a spell can do.

/// A name and a source. `LANES` is replaced by a number of lanes.
pub const SPELLS: [(&str, &str); 12] = [
    ("orders", ORDERS),
    ("ping", PING),
    ("pong", PONG),
    ("bundle", BUNDLE),
    ("rest", REST),
    ("beat", BEAT),
    ("picky", PICKY),
    ("warden", WARDEN),
    ("odd", ODD),
    ("claim", CLAIM),
    ("window", WINDOW),
    ("fading", FADING),
];

/// State by lane key, ranges, what is emitted before what is returned, dice, ids of its own, content.
const ORDERS: &str = r#"return { topic = { "order", "return.>" }, lane = "user", lanes = LANES, start = "oldest",
  cast = function(event, envelope)
    local seen = sanctum.bucket("seen")
    state.total = (state.total or 0) + event.amount
    seen[{ event.amount % 5, envelope.position }] = math.random(1000)
    if state.total % 3 == 0 then
      for key in seen:range{ limit = 2 } do seen:delete(key) end
    end
    emit{ ["$topic"] = "audit", ["$stream"] = "audit-" .. event.user, n = state.total, at = envelope.position,
      id = uuid(), kept = seen:count() }
    return { ["$topic"] = "total", user = event.user, total = state.total, ["$tags"] = { user = event.user } }
  end }"#;

/// One half of a loop between topics.
const PING: &str = r#"return { topic = "ping", start = "oldest", cast = function(event)
  state.pings = (state.pings or 0) + 1
  if event.left > 0 then return { ["$topic"] = "pong", left = event.left - 1, pings = state.pings } end
end }"#;

/// The other half.
const PONG: &str = r#"return { topic = "pong", start = "oldest", prepare = function() state.prepared = true end,
  cast = function(event)
    state.pongs = (state.pongs or 0) + 1
    if event.left > 0 then return { ["$topic"] = "ping", left = event.left - 1 } end
    return { { ["$topic"] = "done", pongs = state.pongs }, { ["$topic"] = "order", user = "pong", amount = state.pongs } }
  end }"#;

/// Batches by lane key, cut by size and by time.
const BUNDLE: &str = r#"return { topic = "total", batch = { size = 4, within = "900ms" }, lane = "user", lanes = LANES,
  start = "oldest", cast = function(events, envelopes)
    state.bundles = (state.bundles or 0) + 1
    local sum = 0
    for _, event in ipairs(events) do sum = sum + event.total end
    return { ["$topic"] = "bundle", sum = sum, count = #events, from = envelopes[1].position, bundles = state.bundles }
  end }"#;

/// Batches that are complete at the end of the run only, and lead to more energies then.
const REST: &str = r#"return { topic = { "bundle", "done" }, batch = { size = 7 }, start = "oldest",
  cast = function(events, envelopes)
    state.rest = (state.rest or 0) + #events
    -- Orders make totals, and those bundles: it has to come to an end.
    if envelopes[#envelopes].hops < 9 then return { ["$topic"] = "return.rest", user = "rest", amount = #events } end
  end }"#;

/// A timer, keys that come and go, times.
const BEAT: &str = r#"return { topic = { "order", "pong" }, every = "700ms", start = "oldest",
  cast = function(event, envelope)
    state.since = (state.since or 0) + 1
    state[{ "at", envelope.position % 4 }] = envelope.position
  end,
  tick = function(now)
    local since = state.since
    state.since = nil
    for key in state:range{ prefix = { "at" }, limit = 1, reverse = true } do state:delete(key) end
    emit{ ["$topic"] = "beat", now = now, said = time.now(), since = since or 0 }
  end }"#;

/// Quarantine; what it wrote and emitted before its fault leaves no trace.
const PICKY: &str = r#"return { topic = "audit", fault = "quarantine", start = "oldest", cast = function(event)
  state.tried = (state.tried or 0) + 1
  emit{ ["$topic"] = "picked", tried = state.tried }
  if event.n % 4 == 0 then error("it does not like " .. event.n) end
end }"#;

/// Draws on what was quarantined.
const WARDEN: &str = r#"return { topic = "sanctum.fault", start = "oldest", cast = function(event, envelope)
  state.faults = (state.faults or 0) + 1
  return { ["$topic"] = "noted", faults = state.faults, of = envelope.causation }
end }"#;

/// Faults that are passed over, in batches.
const ODD: &str = r#"return { topic = { "beat", "picked" }, batch = { size = 3, within = "2s" }, fault = "skip",
  start = "oldest", cast = function(events)
    state.odd = (state.odd or 0) + 1
    if events[1].tried and events[1].tried % 2 == 1 then error("odd") end
    return { ["$topic"] = "even", odd = state.odd }
  end }"#;

/// Conditions, and ids of its own: known ones and refused ones.
const CLAIM: &str = r#"return { topic = "total", fault = "skip", start = "oldest", cast = function(event, envelope)
  state.claims = (state.claims or 0) + 1
  emit{ ["$topic"] = "once", ["$id"] = ("00000000-0000-8000-8000-%012d"):format(event.total % 9) }
  return { ["$topic"] = "claim", ["$stream"] = "claim-" .. event.user .. event.total % 3, ["$expect"] = "none",
    by = envelope.position }
end }"#;

/// Windows.
const WINDOW: &str = r#"local spans = window.tumbling{ size = "2s", fold = "sum", topic = "span", late = "1s" }
return { topic = "order", start = "oldest", cast = function(event, envelope)
  return spans:add(event.user, envelope.time, event.amount)
end }"#;

/// What comes to its end, for compaction, and what is never stored.
const FADING: &str = r#"return { topic = { "audit", "pong" }, start = "oldest", cast = function(event, envelope)
  emit{ ["$topic"] = "live", ["$ttl"] = "ephemeral", n = 1 }
  return { ["$topic"] = "recent", ["$ttl"] = "last:3", at = envelope.position, text = ("x"):rep(60) }
end }"#;
