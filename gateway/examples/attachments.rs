//! Sends large and many SOAP attachments through two gateways, processes of their own, and tells how long each message took
//! and how much memory the gateways held at most meanwhile (Linux).
//!
//! ```text
//! cargo build --release --bin saatkond
//! cargo run --release --example attachments -- target/release/saatkond
//! ```
//!
//! The gateways are those of the demo's state, made anew in `target/attachments` and removed at the end; their logs are
//! allowed to keep 1 GiB. Bodies take 4 GiB of disk on the way.

#![expect(clippy::print_stdout, reason = "it is looked at")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what is wrong ends it")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DIR: &str = "target/attachments";
const GIB: usize = 1 << 30;
/// Bytes written at once.
static PIECE: [u8; 1 << 16] = [b'a'; 1 << 16];
/// What an envelope's answer is asked to bring, so many attachments of so many bytes.
const MESSAGES: [(&str, [usize; 2], [usize; 2]); 5] = [
    ("an envelope alone, both ways", [0, 0], [0, 0]),
    ("1 attachment of 1 GiB asked with", [1, GIB], [0, 0]),
    ("1 attachment of 1 GiB answered", [0, 0], [1, GIB]),
    ("1,000 attachments of 1 MiB asked with", [1000, 1 << 20], [0, 0]),
    ("1,000 attachments of 1 KiB, both ways", [1000, 1 << 10], [1000, 1 << 10]),
];

/// A process that ends with this one.
struct Running(Child);

impl Running {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let log = fs::File::options().create(true).append(true).open(format!("{DIR}/processes.log")).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    /// The most memory that it held since it was asked last, in MiB.
    fn peak(&self) -> u64 {
        let process = format!("/proc/{}", self.0.id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        fs::write(format!("{process}/clear_refs"), "5").unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let program = std::env::args().nth(1).expect("attachments PROGRAM");
    let made = Command::new(&program).args(["demo", "--lay-out", "--fresh", "--dir", DIR]).status().unwrap();
    assert!(made.success(), "the demo's state is made");
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports: serde_json::Value =
        serde_json::from_slice(&fs::read(format!("{DIR}/demo.json")).unwrap()).unwrap();
    let port = |name: &str| ports["ports"][name].as_u64().unwrap();
    for site in ["home", "tax"] {
        append(&format!("{DIR}/{site}/gateway.toml"), "\n[log]\nbody_max = \"1 GiB\"\n");
    }
    let file = format!("{DIR}/home/server.toml");
    let offered = fs::read_to_string(&file).unwrap();
    let register = format!("127.0.1.1:{}", port("register"));
    fs::write(&file, offered.replace(&register, &service.local_addr().unwrap().to_string())).unwrap();
    std::thread::spawn(move || {
        for stream in service.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });

    let _trust = Running::start(&program, &["ca", "serve", "--config", &format!("{DIR}/trust/serve.toml")]);
    let gateway =
        |site: &str| Running::start(&program, &["run", "--config", &format!("{DIR}/{site}/gateway.toml")]);
    wait("the trust services", || TcpStream::connect(format!("127.0.0.1:{}", port("trust"))).is_ok());
    let (home, tax) = (gateway("home"), gateway("tax"));
    for address in ["127.0.1.1", "127.0.3.1"] {
        wait("a gateway", || is_ready(&format!("{address}:{}", port("health"))).unwrap_or(false));
    }
    println!("{:<40} {:>9} {:>22} {:>22}", "message", "took", "most held by TAX", "by HOME");
    for (what, asked, answered) in MESSAGES {
        let _ = (tax.peak(), home.peak());
        let began = Instant::now();
        ask(&format!("127.0.3.1:{}", port("clients")), asked, answered);
        let took = began.elapsed().as_secs_f64();
        println!("{what:<40} {took:>7.2} s {:>18} MiB {:>18} MiB", tax.peak(), home.peak());
    }
    drop((home, tax));
    fs::remove_dir_all(DIR).unwrap();
}

fn append(file: &str, text: &str) {
    let text = fs::read_to_string(Path::new(file)).unwrap() + text;
    fs::write(file, text).unwrap();
}

fn wait(what: &str, is_there: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} did not start, see {DIR}/processes.log");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_ready(address: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(&start == b"HTTP/1.1 200")
}

//------------ messages ------------------------------------------------------

/// An envelope that asks for an answer with so many attachments of so many bytes.
fn envelope(body: &str, [many, bytes]: [usize; 2]) -> String {
    let id = |member: &str, subsystem: &str, more: &str| {
        format!(
            "<i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass><i:memberCode>{member}\
             </i:memberCode><i:subsystemCode>{subsystem}</i:subsystemCode>{more}"
        )
    };
    let service = "<i:serviceCode>personData</i:serviceCode><i:serviceVersion>v1</i:serviceVersion>";
    format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:x='http://x-road.eu/xsd/xroad.xsd' \
         xmlns:i='http://x-road.eu/xsd/identifiers'><s:Header><x:client i:objectType='SUBSYSTEM'>{}</x:client>\
         <x:service i:objectType='SERVICE'>{}</x:service><x:id>1</x:id><x:protocolVersion>4.0</x:protocolVersion>\
         </s:Header><s:Body><{body}>{many} {bytes}</{body}></s:Body></s:Envelope>",
        id("M1", "TAX", ""),
        id("M2", "POPULATION", service),
    )
}

/// Says a message with its length.
fn say(stream: &mut TcpStream, first: &str, envelope: &str, [many, bytes]: [usize; 2]) {
    let root = format!("--b1\r\nContent-Type: text/xml\r\n\r\n{envelope}");
    let head = "\r\n--b1\r\nContent-Type: application/octet-stream\r\n\r\n";
    let end = "\r\n--b1--\r\n";
    let length = root.len() + many * (head.len() + bytes) + end.len();
    write!(
        stream,
        "{first}\r\nHost: x\r\nContent-Type: multipart/related; boundary=b1\r\nContent-Length: {length}\r\n\r\n{root}"
    )
    .unwrap();
    for _ in 0..many {
        stream.write_all(head.as_bytes()).unwrap();
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(PIECE.len());
            stream.write_all(&PIECE[..piece]).unwrap();
            left -= piece;
        }
    }
    stream.write_all(end.as_bytes()).unwrap();
}

/// Hears a message: its first bytes, and how many there were of the body. `None` at the end of the connection.
fn hear(reader: &mut BufReader<TcpStream>) -> Option<(String, usize)> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = Some(value.trim().parse::<usize>().unwrap());
        }
        if line == "\r\n" {
            break;
        }
    }
    let length = length.expect("a length");
    let (mut start, mut left, mut piece) = (Vec::new(), length, PIECE);
    while left > 0 {
        let read = reader.read(&mut piece[..left.min(PIECE.len())]).unwrap();
        assert!(read > 0, "the message is cut");
        start.extend_from_slice(&piece[..read.min(4096_usize.saturating_sub(start.len()))]);
        left -= read;
    }
    Some((String::from_utf8_lossy(&start).into_owned(), length))
}

/// The service: answers with what it is asked for.
fn answer(stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some((text, _)) = hear(&mut reader) {
        let asked = text.split("<personData>").nth(1).and_then(|t| t.split('<').next()).unwrap();
        let mut numbers = asked.split(' ').map(|n| n.parse::<usize>().unwrap());
        let sizes = [numbers.next().unwrap(), numbers.next().unwrap()];
        say(&mut stream, "HTTP/1.1 200 OK", &envelope("personDataResponse", sizes), sizes);
    }
}

/// The information system: asks, and reads the answer to its end.
fn ask(gateway: &str, asked: [usize; 2], answered: [usize; 2]) {
    let mut stream = TcpStream::connect(gateway).unwrap();
    say(&mut stream, "POST / HTTP/1.1", &envelope("personData", answered), asked);
    let (text, length) = hear(&mut BufReader::new(stream)).expect("an answer");
    assert!(text.contains("requestHash"), "expected an answer, found {text}");
    assert!(length > answered[0] * answered[1], "expected {answered:?}, found {length} bytes");
}
