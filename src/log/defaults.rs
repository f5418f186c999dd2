//! What an append says for energies that do not say it themselves.

use crate::event::{Events, Expect, Extra, Ttl, Uuid};

/// See the module. The default says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Their stream.
    pub stream: Option<String>,
    /// Their id; makes sense for one energy only.
    pub id: Option<Uuid>,
    /// Tags, and their values.
    pub tags: Vec<(String, String)>,
    /// How long they are kept.
    pub ttl: Ttl,
    /// Content that they refer to.
    pub content: Option<String>,
    /// What the stream of the first one must be.
    pub expect: Expect,
}

impl Defaults {
    /// Energies with what is said here where they do not say it. `is_first`: the first one is the first of all.
    #[must_use]
    pub fn complete(&self, events: Events, is_first: bool) -> Events {
        if *self == Self::default() {
            return events;
        }
        let mut out = Events::with_capacity(events.len(), events.byte_len());
        if events.is_checked() || self.id.is_some() || self.expect != Expect::Any {
            out.require_check();
        }
        for (index, event) in events.iter().enumerate() {
            let mut head = *event.head();
            head.topic = out.store_topic(event.topic_bytes());
            head.data = out.store(event.data());
            head.stream = match &self.stream {
                // An own stream is a span of its own, even where it reads like the topic.
                _ if event.head().stream != event.head().topic => out.store(event.stream_bytes()),
                Some(stream) => out.store(stream.as_bytes()),
                None => head.topic,
            };
            if head.id.is_nil() {
                head.id = self.id.unwrap_or_default();
            }
            let mut extra = event.extra().cloned().unwrap_or_default();
            for (tag, value) in &self.tags {
                extra.tags.entry(tag.clone()).or_insert_with(|| value.clone());
            }
            extra.ttl = if extra.ttl == Ttl::Forever { self.ttl } else { extra.ttl };
            extra.content = extra.content.or_else(|| self.content.clone());
            if is_first && index == 0 && extra.expect == Expect::Any {
                extra.expect = self.expect;
            }
            out.push(head, (extra != Extra::default()).then_some(extra));
        }
        out
    }
}
