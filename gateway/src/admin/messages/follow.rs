//! Messages as they are recorded.

use super::{Opened, print};
use crate::admin::cli::Follow;
use crate::conf::Conf;
use saatkond_ca::exit::{Exit, Failure, Streams};

/// Tells of the newest messages and then of each that is recorded, until nobody reads it any more. Between two looks it
/// calls `pause`.
///
/// # Errors
/// [`Failure`] for a log that cannot be read.
pub(in crate::admin) fn follow(
    conf: &Conf,
    asked: &Follow,
    streams: &mut Streams<'_>,
    mut pause: impl FnMut(),
) -> Result<Exit, Failure> {
    let opened = Opened::open(conf)?;
    let newest = if asked.last == 0 { Vec::new() } else { opened.numbers(&asked.filter, asked.last)? };
    let mut next = opened.log.numbers().end;
    if !asked.shown.json {
        streams.data(print::HEADING);
    }
    for number in newest {
        tell(&opened, number, asked, streams)?;
    }
    while !streams.is_closed() {
        pause();
        let opened = Opened::open(conf)?;
        let numbers = opened.log.numbers();
        for number in next.max(numbers.start)..numbers.end {
            tell(&opened, number, asked, streams)?;
        }
        next = numbers.end;
    }
    Ok(Exit::Done)
}

fn tell(opened: &Opened, number: u64, asked: &Follow, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let found = opened.message(number)?.filter(|found| asked.filter.lets_through(found));
    match found {
        Some(found) if asked.shown.json => streams.data(print::row_json(&found)),
        Some(found) => streams.data(print::row(&found)),
        None => {}
    }
    Ok(())
}
