//! Signed documents and the configuration that they are verified with, as two real servers gave them away.
//!
//! The consumer's gateway has recorded and stamped the exchange that the recorded one had; then the recorded questions
//! are played.

use crate::bed::{Bed, Circumstance};
use crate::listed::Listed;
use crate::recording::{Flavour, Recordings};
use crate::{Report, compare, http, play, say};

const EVERYWHERE: &[&str] = &[];

/// The differences.
const DIFFERENCES: [Listed; 3] = [
    Listed {
        cases: EVERYWHERE,
        what: &["reason phrase"],
        reason: "the words after a status mean nothing (RFC 9112 §4)",
    },
    Listed {
        cases: EVERYWHERE,
        what: &["letter case of header names"],
        reason: "header names have no letter case (RFC 9110 §5.1)",
    },
    Listed {
        cases: EVERYWHERE,
        what: &["framing: Close, ours Chunked"],
        reason: "the file is made while it is sent; its last chunk tells that it is whole, which the end of a \
            connection does not",
    },
];

/// Asks, and holds the answer against the recorded one.
async fn hold(bed: &Bed, report: &mut Report, place: &str, (asked, recorded): (&[u8], &[u8])) {
    let heard = say(bed.clients, asked, place).await;
    let methods = http::methods(asked);
    let (recorded, ours) = (http::answers(recorded, &methods), http::answers(&heard, &methods));
    report.add(place, place, compare::answers(&recorded, &ours));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_given_away_as_real_servers_do() {
    let Some(recordings) = Recordings::find() else { return };
    let mut report = Report::holding(&DIFFERENCES);
    for flavour in Flavour::ALL {
        let bed = Bed::open(&recordings, flavour, Circumstance::None).await;
        play(&bed, &recordings.case(flavour, "rest-get")).await;
        bed.stamp().await;
        let read = |name: &str| {
            let file = recordings.files(flavour, "asic-interface").into_iter().find(|f| f.ends_with(name));
            std::fs::read(file.unwrap_or_else(|| panic!("no {name}"))).unwrap()
        };
        let mut asked = 0;
        for file in recordings.files(flavour, "asic-interface") {
            let name = file.file_name().unwrap().to_str().unwrap();
            let Some(name) = name.strip_suffix("-request.bin") else { continue };
            let place = format!("{}/asic-interface/{name}", flavour.name());
            let (question, answer) =
                (read(&format!("{name}-request.bin")), read(&format!("{name}-response.bin")));
            hold(&bed, &mut report, &place, (&question, &answer)).await;
            asked += 1;
        }
        assert_eq!(asked, 11, "{}", flavour.name());
        unstamped(
            &bed,
            &recordings,
            flavour,
            &mut report,
            &read("err-not-timestamped-forced-plain-response.bin"),
        )
        .await;
        bed.close().await;
    }
    report.close();
}

/// What is not stamped yet: the question was not recorded, the answers were.
async fn unstamped(
    bed: &Bed,
    recordings: &Recordings,
    flavour: Flavour,
    report: &mut Report,
    not_yet: &[u8],
) {
    play(bed, &recordings.case(flavour, "rest-204")).await;
    let question = |more: &str| {
        format!(
            "GET /asic?queryId={}-rest-204&xRoadInstance=DEV&memberClass=GOV&memberCode=M1&subsystemCode=CONSUMER{more} \
             HTTP/1.1\r\nHost: ss1.dev.test:8080\r\nConnection: close\r\n\r\n",
            flavour.name()
        )
    };
    let place = format!("{}/asic-interface/err-not-timestamped", flavour.name());
    hold(bed, report, &place, (question("").as_bytes(), not_yet)).await;
    let heard = say(bed.clients, question("&force").as_bytes(), &place).await;
    let heard = http::answers(&heard, &["GET".to_owned()]).remove(0);
    let form = compare::same_form_of_body(&heard.headers, &heard.body);
    let file =
        recordings.files(flavour, "asic-interface").into_iter().find(|f| f.ends_with("forced-plain.zip"));
    let recorded = compare::same_form_of_zip(&std::fs::read(file.unwrap()).unwrap());
    // In which order they stand in the file is not said, and was not always the same.
    let documents = |form: &str| {
        let mut documents: Vec<String> =
            form.replace("forced-plain", "rest-204").split("\n").map(str::to_owned).collect();
        documents.sort();
        documents
    };
    assert_eq!(documents(&form), documents(&recorded), "{place}");
}
