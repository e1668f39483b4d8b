//! A log whose process may not make files as large as it needs: what the kernel says then is what a full disk says.

use crate::child::{Dir, SEGMENT, Told, start};
use crate::{Books, is_child};
use saatkond::messagelog::LogReader;
use std::process::Command;

#[test]
fn a_log_without_space_refuses_and_goes_on_by_itself_when_there_is_some() {
    if is_child() {
        return;
    }
    let dir = Dir::new("starved");
    let mut books = Books::default();
    let (mut child, told) =
        start("disk::a_log_without_space_refuses_and_goes_on_by_itself_when_there_is_some", &dir.0);
    let allow = |bytes: &str| {
        let id = child.id().to_string();
        let limited = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:")]).status();
        assert!(limited.unwrap().success());
    };
    let (mut refused, mut after) = (0, 0);
    for told in told {
        match told {
            Told::Acknowledged(number, query) => {
                books.note(number, query);
                after += usize::from(refused > 0);
            }
            Told::Refused(why) => {
                assert!(why.contains("File too large"), "{why}");
                refused += 1;
                if refused == 1 {
                    allow("unlimited");
                }
            }
        }
        if books.acknowledged() == 500 && refused == 0 {
            // The segment that is written is cut in the middle, and no other can be made.
            allow(&(SEGMENT / 2).to_string());
        }
        if after == 500 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(refused > 0 && after == 500, "{refused} refused, {after} acknowledged afterwards");
    let reader = LogReader::open(&dir.0).unwrap();
    reader.verify(|_, _| {}).unwrap();
    books.hold(&reader, reader.numbers());
}
