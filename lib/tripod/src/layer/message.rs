//! Messages of log events.
//!
//! Most places in the code say the same every time. `tracing` hands the message over as something to format, so it would be
//! allocated, scanned for secrets and freed with each event. A message that a place has said twice in a row is kept for the
//! life of the process instead: no more is formatted than to see that it is the same again.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write as _};

use parking_lot::Mutex;
use tracing::Metadata;

use crate::field::Name;

/// The longest message that is kept, in bytes.
const MAX_BYTES: usize = 128;

/// Places whose message is kept at most: with [`MAX_BYTES`], half a megabyte.
const MAX_PLACES: usize = 4096;

/// Places that one thread knows.
const SLOTS: usize = 256;

/// Messages that were formatted keep room for this many bytes.
const KEPT: usize = 4096;

/// What a place says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// This, so far once.
    Once(Box<str>),
    /// This.
    Always(&'static str),
    /// Now this, now that.
    Varies,
}

static PLACES: Mutex<Option<HashMap<usize, Said>>> = Mutex::new(None);

/// A thread's part of what is known: the place's address, and its message if that is always the same.
type Known = Vec<(usize, Option<&'static str>)>;

thread_local! {
    static KNOWN: RefCell<(Known, String)> = const { RefCell::new((Vec::new(), String::new())) };
}

/// The text of the message that this place says.
pub(super) fn text(place: &'static Metadata<'static>, message: &dyn fmt::Debug) -> Name {
    let known = KNOWN.try_with(|known| {
        // A message whose `Debug` logs finds the buffer taken.
        let mut known = known.try_borrow_mut().ok()?;
        let (known, text) = &mut *known;
        Some(known_text(known, text, place, message))
    });
    known.ok().flatten().unwrap_or_else(|| Cow::Owned(format!("{message:?}")))
}

fn known_text(
    known: &mut Known,
    text: &mut String,
    place: &'static Metadata<'static>,
    message: &dyn fmt::Debug,
) -> Name {
    let address = std::ptr::from_ref(place) as usize;
    known.resize(SLOTS, (0, None));
    let Some(slot) = known.get_mut((address >> 4 ^ address >> 12) % SLOTS) else {
        return Cow::Owned(format!("{message:?}"));
    };
    if *slot == (address, None) {
        return Cow::Owned(format!("{message:?}"));
    }
    text.clear();
    // What fails to format is shown as far as it went.
    let _ = write!(text, "{message:?}");
    let name = match slot {
        (known, Some(same)) if *known == address && same == text => Cow::Borrowed(*same),
        _ => match say(address, text) {
            Said::Always(same) => {
                *slot = (address, Some(same));
                Cow::Borrowed(same)
            }
            Said::Varies => {
                *slot = (address, None);
                Cow::Owned(text.clone())
            }
            Said::Once(_) => Cow::Owned(text.clone()),
        },
    };
    text.shrink_to(KEPT);
    name
}

/// Notes what a place says, and tells what is known of it by now.
fn say(address: usize, text: &str) -> Said {
    let mut places = PLACES.lock();
    let places = places.get_or_insert_default();
    let is_full = places.len() >= MAX_PLACES;
    match places.get_mut(&address) {
        Some(said) => {
            match said {
                Said::Once(before) if **before == *text => *said = Said::Always(String::from(text).leak()),
                Said::Always(same) if *same == text => {}
                _ => *said = Said::Varies,
            }
            said.clone()
        }
        None if is_full || text.len() > MAX_BYTES => Said::Varies,
        None => {
            places.insert(address, Said::Once(text.into()));
            Said::Once(Box::default())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Capture;

    #[test]
    fn a_message_is_what_was_said() {
        let capture = Capture::new();
        let same = || tracing::info!("the same");
        let other = |number: u32| tracing::info!("number {number}");
        let changing = |text: &str| tracing::info!("{text}");
        capture.run(|| {
            for number in 0..4 {
                same();
                other(number);
                changing(if number < 3 { "a" } else { "b" });
            }
            changing("a");
            std::thread::scope(|scope| scope.spawn(|| capture.run(same)).join()).unwrap();
        });
        let said: Vec<String> = capture.logs().iter().map(|event| event.event.to_string()).collect();
        let expected = "the same|number 0|a|the same|number 1|a|the same|number 2|a|the same|number 3|b|a|the same";
        assert_eq!(said.join("|"), expected);
        let borrowed = |event: &&crate::logs::LogEvent| matches!(event.event, std::borrow::Cow::Borrowed(_));
        let kept: Vec<String> = capture.logs().iter().filter(borrowed).map(|event| event.event.to_string()).collect();
        assert_eq!(kept.join("|"), "the same|a|the same|a|the same|the same", "once said, it is not allocated again");
    }
}
