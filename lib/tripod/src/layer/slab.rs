//! Spans that are open, for the subscriber of our own.
//!
//! The registry of `tracing-subscriber` keeps a map of types for each span, so that any number of layers can store what
//! they like, and pays for it with two dozen locked instructions a span. Here a span is one place in a table. Each thread
//! opens its spans in a table of its own, behind a lock that is therefore rarely contended.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tracing::Metadata;
use tracing::span::Id;

use super::Live;

/// Tables; threads beyond so many share them.
const TABLES: usize = 16;
const TABLE_BITS: u32 = TABLES.trailing_zeros();
const PLACE_BITS: u32 = 32 - TABLE_BITS;

/// All open spans.
#[derive(Debug, Default)]
pub(super) struct Slab {
    tables: [Mutex<Table>; TABLES],
}

#[derive(Debug, Default)]
struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    /// Part of the id, so that the id of a span that has ended finds no other span.
    generation: u32,
    /// Handles of the span, and open spans below it. 0: the place is free.
    handles: usize,
    metadata: &'static Metadata<'static>,
    /// The span above, which stays open as long as this one.
    above: Option<Id>,
    /// Nothing when the span was made on a silent thread.
    live: Option<Live>,
}

/// A span that has ended.
pub(super) struct Closed {
    pub(super) live: Option<Live>,
    pub(super) above: Option<Id>,
}

/// The table of this thread.
fn own_table() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = const { Cell::new(usize::MAX) });
    let own = OWN.get();
    if own < TABLES {
        return own;
    }
    let own = NEXT.fetch_add(1, Relaxed) % TABLES;
    OWN.set(own);
    own
}

fn id(generation: u32, table: usize, place: u32) -> Id {
    // A generation is never 0, so neither is an id.
    Id::from_u64(u64::from(generation) << 32 | (table as u64) << PLACE_BITS | u64::from(place))
}

impl Table {
    fn find(&mut self, id: &Id) -> Option<&mut Place> {
        let id = id.into_u64();
        let place = self.places.get_mut((id & ((1 << PLACE_BITS) - 1)) as usize)?;
        (place.handles > 0 && u64::from(place.generation) == id >> 32).then_some(place)
    }
}

impl Slab {
    fn table(&self, id: &Id) -> &Mutex<Table> {
        &self.tables[(id.into_u64() as u32 >> PLACE_BITS) as usize % TABLES]
    }

    /// Opens a span with one handle.
    pub(super) fn open(&self, metadata: &'static Metadata<'static>, above: Option<Id>, live: Option<Live>) -> Id {
        let number = own_table();
        let mut table = self.tables[number].lock();
        if let Some(free) = table.free.pop()
            && let Some(place) = table.places.get_mut(free as usize)
        {
            let generation = place.generation.checked_add(1).unwrap_or(1);
            *place = Place { generation, handles: 1, metadata, above, live };
            return id(generation, number, free);
        }
        let place = table.places.len() as u32;
        table.places.push(Place { generation: 1, handles: 1, metadata, above, live });
        id(1, number, place)
    }

    /// Looks at an open span. Under the table's lock: nothing of the application's may run meanwhile.
    pub(super) fn look<R>(&self, id: &Id, look: impl FnOnce(&mut Live) -> R) -> Option<R> {
        self.table(id).lock().find(id)?.live.as_mut().map(look)
    }

    /// As [`look`](Self::look), with the span's place in the code.
    pub(super) fn view<R>(&self, id: &Id, view: impl FnOnce(&Live, &'static Metadata<'static>) -> R) -> Option<R> {
        let mut table = self.table(id).lock();
        let place = table.find(id)?;
        place.live.as_ref().map(|live| view(live, place.metadata))
    }

    /// Looks at an open span, or at the nearest above it, that has ids, and counts a handle more of the first.
    pub(super) fn share<R>(&self, id: &Id, look: impl FnOnce(&Live) -> R) -> (Option<R>, Option<Id>) {
        let mut table = self.table(id).lock();
        let Some(place) = table.find(id) else { return (None, None) };
        place.handles += 1;
        match &place.live {
            Some(live) => (Some(look(live)), Some(id.clone())),
            None => {
                let above = place.above.clone();
                drop(table);
                (above.and_then(|above| self.nearest(&above, look)), Some(id.clone()))
            }
        }
    }

    /// Looks at an open span, or at the nearest above it, that has ids.
    pub(super) fn nearest<R>(&self, id: &Id, look: impl FnOnce(&Live) -> R) -> Option<R> {
        let mut id = id.clone();
        loop {
            let mut table = self.table(&id).lock();
            let place = table.find(&id)?;
            if let Some(live) = &place.live {
                return Some(look(live));
            }
            let above = place.above.clone()?;
            drop(table);
            id = above;
        }
    }

    pub(super) fn metadata(&self, id: &Id) -> Option<&'static Metadata<'static>> {
        self.table(id).lock().find(id).map(|place| place.metadata)
    }

    /// Counts a handle more.
    pub(super) fn hold(&self, id: &Id) {
        if let Some(place) = self.table(id).lock().find(id) {
            place.handles += 1;
        }
    }

    /// Counts a handle less; gives the span when that was the last.
    pub(super) fn release(&self, id: &Id) -> Option<Closed> {
        let mut table = self.table(id).lock();
        let place = table.find(id)?;
        place.handles -= 1;
        if place.handles > 0 {
            return None;
        }
        let closed = Closed { live: place.live.take(), above: place.above.take() };
        table.free.push((id.into_u64() & ((1 << PLACE_BITS) - 1)) as u32);
        Some(closed)
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Level, Metadata, callsite, field, metadata};

    use super::*;

    struct Callsite;

    impl callsite::Callsite for Callsite {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            &METADATA
        }
    }

    static CALLSITE: Callsite = Callsite;
    static METADATA: Metadata<'static> = Metadata::new(
        "span",
        "app",
        Level::INFO,
        None,
        None,
        None,
        field::FieldSet::new(&[], tracing::callsite::Identifier(&CALLSITE)),
        metadata::Kind::SPAN,
    );

    #[test]
    fn the_id_of_a_span_that_ended_finds_no_other() {
        let slab = Slab::default();
        let first = slab.open(&METADATA, None, None);
        slab.hold(&first);
        assert!(slab.release(&first).is_none());
        assert!(slab.release(&first).is_some());
        let second = slab.open(&METADATA, None, None);
        assert_ne!(first, second, "the place is used again under another id");
        assert!(slab.metadata(&first).is_none() && slab.release(&first).is_none());
        assert!(slab.metadata(&second).is_some());
    }

    #[test]
    fn spans_of_many_threads_stay_apart() {
        let slab = Slab::default();
        let ids: Vec<Id> = std::thread::scope(|scope| {
            let open = || (0..100).map(|_| slab.open(&METADATA, None, None)).collect::<Vec<_>>();
            let threads: Vec<_> = (0..2 * TABLES).map(|_| scope.spawn(open)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let unique: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), 200 * TABLES);
        assert!(ids.iter().all(|id| slab.release(id).is_some()));
        assert!(ids.iter().all(|id| slab.metadata(id).is_none()));
    }
}
