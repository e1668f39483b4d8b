//! From one information system to the other and back, through two real gateways.

use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Federation, Service};

#[tokio::test]
async fn a_question_crosses_and_its_answer_comes_back() {
    let service = Service::start(|_| Answer::json(r#"{"owner":"EE"}"#)).await;
    let federation = Federation::new().await;
    let home = federation.open("HOME", &answering(&service.url("/api"))).await;
    let tax = federation.open("TAX", ASKING).await;
    let heard = tax.ask(&Ask::get("land/titles/1?x=%2F").line("X-Road-Id", "q-1")).await;
    assert_eq!((heard.status(), heard.text().as_str()), (200, r#"{"owner":"EE"}"#), "{heard:?}");
    drop((home, tax));
}
