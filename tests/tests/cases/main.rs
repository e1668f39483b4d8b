//! X-Road's own test cases of its proxies, played against our pair of gateways: each with the outcome and the code that
//! X-Road's test suite demands.
//!
//! ```text
//! Caller ──HTTP(S)──► CONSUMER ══TLS══► PRODUCER ──HTTP(S)──► Service      most cases
//!                                  Asker ══► PRODUCER                      the test plays the consumer's gateway
//! Caller ──HTTP────► CONSUMER ══► Door                                     the test plays the provider's gateway
//! ```
//!
//! Table, requests and answers lie outside the repository; without them these tests say that they skip.
//!
//! | file | what it holds |
//! |---|---|
//! | `table` | the cases as they are listed, and those whose outcome is another one, each with its reason |
//! | `bench` | the instance `EE` of those cases, and who plays what in it |
//! | `play` | one case, played |
//! | `parts` | messages taken apart without the code under test |

mod bench;
mod parts;
mod play;
mod table;

use bench::Bench;
use table::{Case, Expected, OTHERWISE, Otherwise};

/// Spec: message-path §1.6, "reference outcomes".
#[tokio::test]
async fn every_case_of_xroads_own_suite_has_its_outcome() {
    let Some(cases) = table::cases() else { return };
    assert_eq!(cases.len(), 102, "cases listed");
    for otherwise in OTHERWISE {
        assert!(cases.iter().any(|case| case.name == otherwise.case), "{} is no case", otherwise.case);
        assert!(!otherwise.why.is_empty());
    }
    let bench = Bench::new().await;
    let mut wrong = Vec::new();
    for case in &cases {
        let outcome = play::play(&bench, case).await;
        let listed = OTHERWISE.iter().find(|otherwise| otherwise.case == case.name);
        if let Err(finding) = judge(case, listed, &outcome) {
            wrong.push(format!("{}: {finding}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Holds an outcome against what is demanded, or against what is listed in its place.
fn judge(case: &Case, listed: Option<&Otherwise>, outcome: &play::Outcome) -> Result<(), String> {
    let as_demanded = match &case.expected {
        Expected::Normal => outcome.normal(case),
        Expected::Fault(code) if outcome.code() == code => Ok(()),
        Expected::FaultBegins(code) if outcome.code().starts_with(code.as_str()) => Ok(()),
        Expected::SomeFault => outcome.some_fault(case),
        other => Err(format!("expected {other:?}, came {:?} {}", outcome.code(), outcome.text())),
    };
    match (as_demanded, listed) {
        (as_demanded, None) => as_demanded,
        (Ok(()), Some(_)) => {
            Err("is listed as an exception, and has the outcome that X-Road demands".to_owned())
        }
        (Err(_), Some(listed)) if listed.code.is_empty() => outcome.normal(case),
        (Err(_), Some(listed)) if outcome.code() == listed.code => Ok(()),
        (Err(_), Some(listed)) => {
            Err(format!("listed with {:?}, came {:?} {}", listed.code, outcome.code(), outcome.text()))
        }
    }
}
