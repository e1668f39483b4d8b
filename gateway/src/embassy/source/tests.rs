//! What sources say, and what is made of it.

use super::*;
use crate::conf::Connection;
use crate::testbed::{NOW, TestDir};
use std::convert::Infallible;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn client() -> Client {
    Client {
        id: "DEV/GOV/M2/LAND".parse().unwrap(),
        connection: Connection::Http,
        certificates: Vec::new(),
        services: Vec::new(),
        local_groups: Vec::new(),
        staleness: None,
    }
}

async fn ask(source: AgeSource) -> Result<Duration, NoAge> {
    Databases::default().ask(&client(), &source, NOW).await
}

#[tokio::test]
async fn a_file_says_up_to_when_the_copy_holds_everything() {
    let dir = TestDir::new("age-file");
    let file = dir.0.join("age");
    let five = NOW.minus(Duration::from_millis(5250));
    for (text, expected) in [
        (format!("{}\n", five.to_rfc3339_millis()), Some(5250)),
        (format!("{}.75", five.secs()), Some(5250)),
        (NOW.secs().to_string(), Some(0)),
        (NOW.plus(Duration::from_secs(1)).to_rfc3339(), Some(0)),
        (NOW.plus(Duration::from_secs(3)).to_rfc3339(), None),
        ("yesterday".to_owned(), None),
        (String::new(), None),
        ("-1".to_owned(), None),
    ] {
        std::fs::write(&file, &text).unwrap();
        let found = ask(AgeSource::File(file.clone())).await;
        match expected {
            Some(millis) => assert_eq!(found, Ok(Duration::from_millis(millis)), "{text:?}"),
            None => assert!(matches!(&found, Err(NoAge::Unknown(_))), "{text:?}: {found:?}"),
        }
    }
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(ask(AgeSource::File(file)).await, Err(NoAge::Silent(_))));
}

/// Answers every connection with these bytes.
async fn says(answer: &'static str) -> (String, tokio::task::JoinHandle<Infallible>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/age?of=land", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"GET /age?of=land HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, serving)
}

#[tokio::test]
async fn a_probe_says_seconds() {
    for (body, expected) in [
        ("1.25", Some(1250)),
        ("0\n", Some(0)),
        ("1.0001", Some(1001)),
        ("-0.5", Some(0)),
        (r#"{"staleness": 3, "more": "x"}"#, Some(3000)),
        (r#"{"staleness": null}"#, None),
        (r#"{"age": 3}"#, None),
        ("-60", None),
        ("NaN", None),
        ("1e400", None),
        ("\"1\"", None),
        ("", None),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let (url, serving) = says(Box::leak(answer.into_boxed_str())).await;
        let found = ask(AgeSource::Probe(url)).await;
        serving.abort();
        match expected {
            Some(millis) => assert_eq!(found, Ok(Duration::from_millis(millis)), "{body:?}"),
            None => assert!(matches!(&found, Err(NoAge::Unknown(_))), "{body:?}: {found:?}"),
        }
    }
    let (url, serving) = says("HTTP/1.1 503 No\r\nContent-Length: 1\r\n\r\n0").await;
    assert!(matches!(ask(AgeSource::Probe(url)).await, Err(NoAge::Silent(_))));
    serving.abort();
    assert!(matches!(ask(AgeSource::Probe("http://127.0.0.1:1/".to_owned())).await, Err(NoAge::Silent(_))));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_silent() {
    let config = "host=127.0.0.1 port=1 user=nobody password=secret".parse().unwrap();
    let Err(NoAge::Silent(why)) = ask(AgeSource::Postgres(Box::new(config))).await else { panic!() };
    assert!(why.contains("the database: ") && !why.contains("secret"), "{why}");
}
