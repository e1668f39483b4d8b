//! Any door: a write is passed on to the site that leads, and comes back as its own.

use super::*;
use saatkond::messagelog::{Direction, Kind};

/// What a log holds, in order.
fn kinds(site: &Site) -> Vec<(Kind, Direction)> {
    site.log().into_iter().map(|found| (found.message.kind, found.message.direction)).collect()
}

#[tokio::test]
async fn a_write_brought_to_the_wrong_door_comes_back_as_homes() {
    let bed = Bed::new().await;
    let letter = bed.write("transfer 1");
    let told = bed.bring("EMBASSY", &letter).await;
    let judged = bed.judge(&letter, &told);
    assert_eq!((judged.by, judged.response.status, judged.line("X-From")), ("HOME", 200, Some("home")));
    assert_eq!(bed.book.all(), [("home", "transfer 1".to_owned())]);
    let relayed = [(Kind::Request, Direction::Relayed), (Kind::Response, Direction::Relayed)];
    assert_eq!(kinds(bed.embassy()), relayed, "evidence abroad, and no claim to have answered");
    let answered = [(Kind::Request, Direction::Received), (Kind::Response, Direction::Sent)];
    assert_eq!(kinds(bed.home()), answered);
    let (abroad, home) = (bed.embassy().log(), bed.home().log());
    assert_eq!(abroad[0].message.message, home[0].message.message);
    assert_eq!(abroad[1].message.proof, home[1].message.proof, "the answer as home signed it");
}

#[tokio::test]
async fn a_large_body_is_passed_on_as_it_came() {
    let bed = Bed::new().await;
    let body = "0123456789abcdef".repeat(64 * 1024);
    let letter = bed.write(&body);
    let judged = bed.judge(&letter, &bed.bring("EMBASSY", &letter).await);
    assert_eq!((judged.by, judged.response.status), ("HOME", 200));
    assert!(bed.book.all() == [("home", body)]);
    assert_eq!((bed.embassy().spooled(), bed.home().spooled()), (0, 0));
}

#[tokio::test]
async fn the_register_at_home_is_asked_what_a_door_was_asked() {
    let bed = Bed::new().await;
    let ask = Ask::new("PUT", "land/titles/7?a=b").line("X-Mine", "so").body("deed");
    let letter = bed.asker().draft(&ask).letter();
    assert_eq!(bed.judge(&letter, &bed.bring("EMBASSY", &letter).await).by, "HOME");
    let asked = bed.at_home.asked.last();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("PUT", "/titles/7?a=b"));
    assert_eq!((asked.line("X-Mine"), asked.body.as_slice()), (Some("so"), &b"deed"[..]));
}

#[tokio::test]
async fn faults_of_the_one_who_leads_are_told_as_they_are() {
    let bed = Bed::new().await;
    bed.home().change_server(&answering(&bed.at_home.url("")).replace("M1/TAX", "M1/OTHER")).await;
    let told = bed.bring("EMBASSY", &bed.write("a")).await;
    assert_eq!(told.code(), "access_denied");
    assert!(bed.book.all().is_empty());
}

#[tokio::test]
async fn a_call_brought_again_is_not_executed_again_also_after_a_restart() {
    let mut bed = Bed::new().await;
    let letter = bed.write("once");
    assert_eq!(bed.judge(&letter, &bed.bring("EMBASSY", &letter).await).response.status, 200);
    for door in ["EMBASSY", "HOME"] {
        assert_eq!(bed.bring(door, &letter).await.code(), "continuity.already_executed", "{door}");
    }
    bed.close_home().await;
    bed.open_home().await;
    assert_eq!(bed.bring("EMBASSY", &letter).await.code(), "continuity.already_executed");
    assert_eq!(bed.book.all().len(), 1);
}

#[tokio::test]
async fn a_write_that_can_go_nowhere_is_refused_by_a_signed_answer_that_names_the_site() {
    let mut bed = Bed::new().await;
    bed.close_home().await;
    let letter = bed.write("a");
    let judged = bed.judge(&letter, &bed.bring("EMBASSY", &letter).await);
    assert_eq!((judged.by, judged.response.status), ("EMBASSY", 503));
    assert_eq!(judged.line("X-Road-Error"), Some("server.serverproxy.continuity.not_authority"));
    assert_eq!(judged.line("X-Road-Cont-Retry"), Some("safe;site=home"));
    let last: Vec<_> = kinds(bed.embassy()).into_iter().rev().take(2).collect();
    assert_eq!(last, [(Kind::Response, Direction::Sent), (Kind::Request, Direction::Received)]);
    let read = bed.asker().draft(&Ask::get("land")).letter();
    assert_eq!(bed.bring("EMBASSY", &read).await.code(), "continuity.staleness_exceeded");
    assert!(bed.book.all().is_empty());
}

#[tokio::test]
async fn reads_are_answered_here_while_fresh_and_passed_on_when_not() {
    let bed = Bed::new().await;
    let read = |bed: &Bed| bed.asker().draft(&Ask::get("land/titles/1")).letter();
    let fresh = Bed::fresh(bed.embassy());
    let letter = read(&bed);
    assert_eq!(bed.judge(&letter, &bed.bring("EMBASSY", &letter).await).by, "EMBASSY");
    drop(fresh);
    bed.embassy().gateway.embassy.ages.note(&land(), None, Instant::now());
    let letter = read(&bed);
    assert_eq!(bed.judge(&letter, &bed.bring("EMBASSY", &letter).await).by, "HOME");
    assert_eq!((bed.at_home.asked.len(), bed.abroad.asked.len()), (1, 1));
}
