//! The configuration proxy between a central server and its clients: what it passes on, and until when.

use crate::support::{Directory, http, independent_verifier};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use saatkond_ca::federation::{Federation, Plan};
use saatkond_ca::key::KeySpec;
use saatkond_ca::proxy::{Proxy, create_key};
use saatkond_ca::serve::{Clock, Running, Service, Services};
use saatkond_proto::globalconf::locations::{locations, part_url, with_version};
use saatkond_proto::globalconf::{
    Anchor, Content, Directory as Parts, DirectoryError, GlobalConf, Instance, Options, SharedParams,
    SignedDirectory,
};
use saatkond_proto::time::UnixTime;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// 2026-06-01T00:00:00Z.
const NOW: UnixTime = UnixTime::from_secs(1_780_272_000);
/// How long the instance's own signature holds.
const UPSTREAM: Duration = Duration::from_secs(600);
/// How long the proxy's does.
const OURS: Duration = Duration::from_secs(3 * 86_400);

/// A clock and the hand that winds it.
#[derive(Clone)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW.millis())))
    }

    fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, now: UnixTime) {
        self.0.store(now.millis(), Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let hand = self.clone();
        Clock::from_fn(move || hand.now())
    }
}

/// A status and a body.
type Answer = (u16, Vec<u8>);

/// An upstream whose every answer is ours to choose: 404 for what it has not.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<BTreeMap<String, Answer>>>);

impl Scripted {
    fn put(&self, path: &str, status: u16, body: &[u8]) {
        self.0.lock().unwrap().insert(path.to_owned(), (status, body.to_vec()));
    }

    fn edit(&self, edit: impl Fn(&str, &mut Answer)) {
        self.0.lock().unwrap().iter_mut().for_each(|(path, answer)| edit(path, answer));
    }
}

impl Service for Scripted {
    fn listen(&self) -> &'static str {
        ""
    }

    async fn answer(
        self,
        request: Request<hyper::body::Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path_and_query().unwrap().as_str();
        let (status, body) = self.0.lock().unwrap().get(path).cloned().unwrap_or((404, Vec::new()));
        let mut response = Response::new(Full::new(Bytes::from(body.clone())));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        if status == 302 {
            let to = http::HeaderValue::from_bytes(&body).unwrap();
            response.headers_mut().insert("location", to);
        }
        Ok(response)
    }

    async fn work(self) {
        std::future::pending::<()>().await;
    }
}

/// A proxy that fetches when the test says so, and not besides.
#[derive(Clone)]
struct Quiet(Proxy);

impl Service for Quiet {
    fn listen(&self) -> &str {
        self.0.listen()
    }

    async fn answer(
        self,
        request: Request<hyper::body::Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        self.0.answer(request).await
    }

    async fn work(self) {
        std::future::pending::<()>().await;
    }
}

/// An instance, and a proxy's files beside it.
struct Stage {
    directory: Directory,
    federation: Federation,
    hand: Hand,
    upstream: SocketAddr,
    file: PathBuf,
}

impl Stage {
    /// The instance's central server is started by whoever wants one.
    async fn new() -> (Self, TcpListener) {
        Self::with(KeySpec::P256, "anchor.xml").await
    }

    async fn with(key: KeySpec, anchor: &str) -> (Self, TcpListener) {
        let directory = Directory::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let plan =
            Plan::two_boards(&format!("http://{upstream}"), key, ["127.0.3.1", "127.0.1.1", "127.0.2.1"])
                .with_sites(["127.0.1.1:5600", "127.0.2.1:5600"], &[]);
        let federation = Federation::create(&directory.join("instance"), &plan, NOW).unwrap();
        let file = directory.join("proxy.toml");
        let written = format!(
            "version = 1\nlisten = \"127.0.0.1:0\"\naddress = \"ADDRESS\"\nname = \"embassy\"\n\
             anchor = \"instance/{anchor}\"\ndirectory = \"proxy\"\nvalidity = \"3 d\"\n"
        );
        std::fs::write(&file, written).unwrap();
        create_key(&file, key).unwrap();
        (Self { directory, federation, hand: Hand::new(), upstream, file }, listener)
    }

    fn central(&self, listener: TcpListener) -> Running {
        let services = Services::open(&self.federation.serve_config(), self.hand.clock()).unwrap();
        Running::start(listener, services).unwrap()
    }

    /// A proxy that serves.
    async fn proxy(&self) -> (Proxy, Running) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let text = std::fs::read_to_string(&self.file).unwrap();
        let line = text.lines().find(|line| line.starts_with("address")).unwrap();
        std::fs::write(&self.file, text.replace(line, &format!("address = \"{address}\""))).unwrap();
        let proxy = Proxy::open(&self.file, self.hand.clock()).unwrap();
        proxy.refresh().await.unwrap();
        (proxy.clone(), Running::start(listener, Quiet(proxy)).unwrap())
    }

    /// Everything that the real central server says now, for a scripted one.
    async fn recorded(&self, central: &Running) -> Scripted {
        let scripted = Scripted::default();
        for version in 2..=6 {
            let place = format!("/internalconf?version={version}");
            let (status, bytes) = http(central.address(), "GET", &place, b"").await;
            scripted.put(&place, status, &bytes);
            let certificates = own_anchor(self).sources[0].certificates.clone();
            let directory = SignedDirectory::parse(&bytes).unwrap();
            for part in directory.verify(&certificates, self.hand.now()).unwrap().parts {
                let (status, bytes) = http(central.address(), "GET", &part.location, b"").await;
                scripted.put(&part.location, status, &bytes);
            }
        }
        scripted
    }
}

fn own_anchor(stage: &Stage) -> Anchor {
    Anchor::from_xml(&std::fs::read(stage.federation.anchor()).unwrap()).unwrap()
}

/// Downloads by an anchor as a gateway does: from the first place that it names, every byte held against the signature.
async fn client(
    anchor: &Anchor,
    version: u8,
    now: UnixTime,
) -> Result<(Parts, SharedParams, GlobalConf), String> {
    let place = locations(anchor, None, None, 7).into_iter().find(|l| l.url.starts_with("http:")).unwrap();
    let url = with_version(&place.url, version);
    let get = async |url: &str| {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        http(host.parse().unwrap(), "GET", &format!("/{path}"), b"").await
    };
    let (status, bytes) = get(&url).await;
    if status != 200 {
        return Err(format!("{status} {}", String::from_utf8_lossy(&bytes)));
    }
    let signed = SignedDirectory::parse(&bytes).unwrap();
    let directory = signed.verify(&place.certificates, now).map_err(|e| e.to_string())?;
    let (mut shared, mut private, mut options) = (None, None, Options::default());
    for part in directory.internal(&anchor.instance).unwrap() {
        let (status, bytes) = get(&part_url(&url, &part.location).unwrap()).await;
        assert_eq!(status, 200, "{part:?}");
        match &part.content {
            Content::Shared => shared = Some(part.shared(&bytes, version).unwrap()),
            Content::Private => private = Some(part.private(&bytes, version).unwrap()),
            other @ Content::Other(_) => {
                part.check(&bytes).unwrap();
                options.apply(&anchor.instance, other, &bytes).unwrap();
            }
        }
    }
    let shared = shared.unwrap();
    let instance = Instance { shared: shared.clone(), private, expires: directory.expires, options };
    Ok((directory, shared, GlobalConf::new(&anchor.instance, vec![instance]).unwrap()))
}

async fn until(anchor: &Anchor, now: UnixTime) -> Result<UnixTime, String> {
    client(anchor, 6, now).await.map(|(directory, _, _)| directory.expires)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_proxy_gets_what_a_client_of_the_central_server_gets() {
    let (stage, listener) = Stage::new().await;
    let central = stage.central(listener);
    let (proxy, running) = stage.proxy().await;
    assert_eq!(proxy.trouble(), None);
    let anchor = Anchor::from_xml(&proxy.anchor().to_xml()).unwrap();
    for version in 2..=6 {
        let (directory, shared, conf) = client(&anchor, version, NOW).await.unwrap();
        let (upstream, expected, expected_conf) = client(&own_anchor(&stage), version, NOW).await.unwrap();
        assert_eq!((directory.version, directory.parts.len()), (version, upstream.parts.len()));
        assert_eq!(
            SharedParams { sources: Vec::new(), ..shared.clone() },
            SharedParams { sources: Vec::new(), ..expected }
        );
        assert_eq!(conf.left_out().count(), 0);
        assert!(conf.continuity().is_some() && conf.continuity() == expected_conf.continuity());
        assert_eq!(directory.expires, NOW.plus(OURS));
        // who learns of places from it learns of the proxy alone, with certificates that hold there
        let learnt: Vec<_> = locations(&anchor, Some(&shared), None, 1);
        let own = format!("{}/embassy/conf", running.address());
        assert!(learnt.iter().all(|place| place.url.ends_with(&own)), "{learnt:#?}");
        assert!(learnt.iter().all(|place| place.certificates == anchor.sources[0].certificates));
        assert_eq!(shared.sources.len(), usize::from(version > 2));
    }
    let get = async |path: &str| http(running.address(), "GET", path, b"").await.0;
    for path in
        ["/embassy/conf?version=7", "/embassy/conf?version=1", "/internalconf", "/embassy", "/embassyconf"]
    {
        assert_eq!(get(path).await, 404, "{path}");
    }
    assert_eq!(get("/health/ready").await, 200);
    assert_eq!(http(running.address(), "POST", "/embassy/conf", b"").await.0, 405);
    central.stop().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_upstream_is_passed_on_whole_and_the_document_before_stays_to_be_had() {
    let (stage, listener) = Stage::new().await;
    let central = stage.central(listener);
    let (proxy, running) = stage.proxy().await;
    let (before, ..) = client(&proxy.anchor(), 6, NOW).await.unwrap();
    let file = stage.federation.instance_file();
    let text = std::fs::read_to_string(&file).unwrap();
    let change = "maintenance = \"new roof\"\nid = \"DEV/GOV/M2/HOME\"";
    std::fs::write(&file, text.replace("id = \"DEV/GOV/M2/HOME\"", change)).unwrap();
    stage.federation.apply(NOW).unwrap();
    stage.hand.set(NOW.plus(Duration::from_secs(60)));
    proxy.refresh().await.unwrap();
    let (_, shared, _) = client(&proxy.anchor(), 6, stage.hand.now()).await.unwrap();
    assert!(shared.servers.iter().any(|server| server.maintenance.as_deref() == Some("new roof")));
    for part in before.parts {
        assert_eq!(http(running.address(), "GET", &part.location, b"").await.0, 200, "{part:?}");
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_upstream_it_serves_to_the_second_until_upstreams_end_and_its_own_validity_after_that() {
    let (stage, listener) = Stage::new().await;
    let central = stage.central(listener);
    let (proxy, running) = stage.proxy().await;
    let anchor = proxy.anchor();
    central.stop().await;
    let end = NOW.plus(UPSTREAM);
    let bound = end.plus(OURS);
    let second = Duration::from_secs(1);

    // while upstream's own signature holds, each signature of the proxy's is as long as its own validity
    stage.hand.set(end.minus(second));
    proxy.refresh().await.unwrap();
    assert_eq!(until(&anchor, end).await, Ok(end.minus(second).plus(OURS)));
    let trouble = proxy.trouble().unwrap();
    assert!(trouble.contains("6, 5, 4, 3, 2") && trouble.contains(&stage.upstream.to_string()), "{trouble}");

    // then it signs to the bound and no further, asked upstream or not
    for later in
        [end.plus(Duration::from_secs(60)), end.plus(Duration::from_secs(86_400)), bound.minus(second), bound]
    {
        stage.hand.set(later);
        assert_eq!(until(&anchor, later).await, Ok(bound), "at {later}");
        proxy.refresh().await.unwrap();
        assert_eq!(until(&anchor, later).await, Ok(bound), "at {later}, upstream asked");
    }
    stage.hand.set(end.plus(Duration::from_secs(86_400)));
    let (status, said) = http(running.address(), "GET", "/health/ready", b"").await;
    let said = String::from_utf8(said).unwrap();
    assert!(status == 200 && said.contains(&format!("ready until {bound}, 2 d left")), "{status} {said}");

    // past it nothing is served, and who kept the last directory does not take it either
    let (_, last) = http(running.address(), "GET", "/embassy/conf?version=6", b"").await;
    let after = UnixTime::from_millis(bound.millis() + 1);
    stage.hand.set(after);
    let refused = until(&anchor, after).await.unwrap_err();
    assert!(refused.starts_with("503 no configuration holds"), "{refused}");
    let last = SignedDirectory::parse(&last).unwrap().verify(&anchor.sources[0].certificates, after);
    assert!(matches!(last, Err(DirectoryError::Outdated { .. })), "{last:?}");
    assert_eq!(http(running.address(), "GET", "/health/ready", b"").await.0, 503);
    assert_eq!(proxy.standing(), []);

    // and the link being there again, all is well again
    let central = stage.central(TcpListener::bind(stage.upstream).await.unwrap());
    proxy.refresh().await.unwrap();
    assert_eq!(proxy.trouble(), None);
    assert_eq!(until(&anchor, after).await, Ok(UnixTime::from_secs(after.plus(OURS).secs())));
    central.stop().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_nobody_upstream_goes_on_with_what_was_kept_and_the_same_bound() {
    let (stage, listener) = Stage::new().await;
    let central = stage.central(listener);
    let (_, running) = stage.proxy().await;
    running.stop().await;
    central.stop().await;
    let bound = NOW.plus(UPSTREAM).plus(OURS);
    stage.hand.set(bound.minus(Duration::from_secs(3600)));
    let (proxy, running) = stage.proxy().await;
    assert_eq!(until(&proxy.anchor(), stage.hand.now()).await, Ok(bound));
    running.stop().await;

    // what lies on the disk is believed because the proxy's own key signed it
    let kept = stage.directory.join("proxy/kept/V6");
    let good = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, good.replace("2026-06-01", "2027-06-01")).unwrap();
    let (proxy, running) = stage.proxy().await;
    assert!(proxy.standing().iter().all(|standing| standing.version != 6));
    assert_eq!(proxy.standing().len(), 4);
    running.stop().await;
    stage.hand.set(bound.plus(Duration::from_secs(1)));
    assert_eq!(Proxy::open(&stage.file, stage.hand.clock()).unwrap().standing(), []);
}

/// What somebody between upstream and the proxy may say, and what is found wrong with it.
struct Lie {
    name: &'static str,
    why: &'static str,
    edit: Edit,
}

type Edit = Box<dyn Fn(&str, &mut Answer)>;
type Told = (&'static str, &'static str, Edit);

fn lies(forged: Vec<u8>) -> Vec<Lie> {
    let is_directory = |path: &str| path.starts_with("/internalconf");
    let six = "/internalconf?version=6";
    let lies: [Told; 7] = [
        (
            "another key",
            "no certificate with the hash",
            Box::new(move |path, answer| {
                if path == six {
                    answer.1.clone_from(&forged);
                }
            }),
        ),
        (
            "a later end",
            "the signature does not hold",
            Box::new(move |path, answer| {
                if is_directory(path) {
                    let text = String::from_utf8(answer.1.clone()).unwrap();
                    answer.1 = text.replace("Expire-date: 2026", "Expire-date: 2036").into_bytes();
                }
            }),
        ),
        (
            "another document",
            "the digest of",
            Box::new(move |path, answer| {
                if path.ends_with("shared-params.xml") {
                    answer.1 =
                        String::from_utf8(answer.1.clone()).unwrap().replace("Tax Board", "Tax Bored").into();
                }
            }),
        ),
        (
            "no bytes",
            "header Content-Type is missing",
            Box::new(move |path, answer| {
                if is_directory(path) {
                    answer.1.clear();
                }
            }),
        ),
        ("not there", "upstream has no version", Box::new(|_, answer| *answer = (404, Vec::new()))),
        ("an error", "status 500", Box::new(|_, answer| *answer = (500, Vec::new()))),
        (
            "in circles",
            "from place to place",
            Box::new(move |_, answer| *answer = (302, six.as_bytes().to_vec())),
        ),
    ];
    lies.into_iter().map(|(name, why, edit)| Lie { name, why, edit }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_what_upstream_signed_takes_the_place_of_what_is_there() {
    let (stage, listener) = Stage::new().await;
    let central = stage.central(listener);
    let scripted = stage.recorded(&central).await;
    let (proxy, running) = stage.proxy().await;
    let anchor = proxy.anchor();
    let (good, ..) = client(&anchor, 6, NOW).await.unwrap();
    central.stop().await;
    let original = scripted.0.lock().unwrap().clone();
    let upstream =
        Running::start(TcpListener::bind(stage.upstream).await.unwrap(), scripted.clone()).unwrap();

    // another instance's keys, under the same name
    let plan = Plan::two_boards(
        &format!("http://{}", stage.upstream),
        KeySpec::P256,
        ["127.0.3.1", "127.0.1.1", "127.0.2.1"],
    );
    Federation::create(&stage.directory.join("forged"), &plan, NOW).unwrap();
    let forged = stage.directory.join("forged/trust/public/V6/internalconf");
    let forged = std::fs::read(forged).unwrap();
    for Lie { name, why, edit } in lies(forged) {
        scripted.0.lock().unwrap().clone_from(&original);
        scripted.edit(edit);
        // nothing held: whatever is needed is asked for
        std::fs::remove_dir_all(stage.directory.join("proxy/kept")).unwrap();
        let fresh = Proxy::open(&stage.file, stage.hand.clock()).unwrap();
        fresh.refresh().await.unwrap();
        let trouble = fresh.trouble().unwrap();
        assert!(trouble.contains(why), "{name}: {trouble}");
        assert!(fresh.standing().iter().all(|standing| standing.version != 6), "{name}");
        // something held: it stays
        proxy.refresh().await.unwrap();
        let (now, ..) = client(&anchor, 6, NOW).await.unwrap();
        assert_eq!(now.parts, good.parts, "{name}");
        scripted.0.lock().unwrap().clone_from(&original);
        fresh.refresh().await.unwrap();
        assert_eq!((fresh.trouble(), fresh.standing().len()), (None, 5), "{name}");
    }
    // what has expired is no news either, signed or not
    stage.hand.set(NOW.plus(UPSTREAM).plus(Duration::from_secs(1)));
    proxy.refresh().await.unwrap();
    assert!(proxy.trouble().unwrap().contains("the directory held until"), "{:?}", proxy.trouble());
    assert_eq!(until(&anchor, stage.hand.now()).await, Ok(NOW.plus(UPSTREAM).plus(OURS)));
    upstream.stop().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_upstream_never_had_are_not_missed_and_one_that_went_is() {
    let (stage, listener) = Stage::new().await;
    let central = stage.central(listener);
    let scripted = stage.recorded(&central).await;
    central.stop().await;
    let upstream =
        Running::start(TcpListener::bind(stage.upstream).await.unwrap(), scripted.clone()).unwrap();
    let old = |path: &str| path.ends_with("version=2");
    scripted.edit(|path, answer| {
        if old(path) {
            answer.0 = 404;
        }
    });
    let (proxy, running) = stage.proxy().await;
    assert_eq!((proxy.trouble(), proxy.standing().len()), (None, 4));
    assert_eq!(
        http(running.address(), "GET", "/embassy/conf", b"").await.0,
        404,
        "version 2 if none is named"
    );
    scripted.edit(|path, answer| {
        if path.ends_with("version=3") {
            answer.0 = 404;
        }
    });
    proxy.refresh().await.unwrap();
    assert_eq!(proxy.trouble().as_deref(), Some("version 3 was not fetched: it is not there"));
    assert_eq!(proxy.standing().len(), 4, "it is served until its bound");
    upstream.stop().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_instances_read_is_passed_on_without_private_parameters() {
    let (stage, listener) = Stage::with(KeySpec::P256, "anchor-external.xml").await;
    let central = stage.central(listener);
    let (proxy, running) = stage.proxy().await;
    let (_, bytes) = http(running.address(), "GET", "/embassy/conf?version=6", b"").await;
    let signed = SignedDirectory::parse(&bytes).unwrap();
    let directory = signed.verify(&proxy.anchor().sources[0].certificates, NOW).unwrap();
    directory.must_be_external().unwrap();
    assert_eq!(directory.parts.len(), 1);
    central.stop().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_verifier_accepts_what_the_proxy_signs() {
    let Some(script) = independent_verifier() else { return };
    let mut keys = vec![KeySpec::P256];
    keys.extend(saatkond_ca::key::rsa_is_possible().then_some(KeySpec::Rsa2048));
    for key in keys {
        let (stage, listener) = Stage::with(key, "anchor.xml").await;
        let central = stage.central(listener);
        let (proxy, running) = stage.proxy().await;
        let (public, anchor) = (stage.directory.join("public"), stage.directory.join("proxy.xml"));
        std::fs::write(&anchor, proxy.anchor().to_xml()).unwrap();
        for version in 2..=6 {
            let (_, bytes) =
                http(running.address(), "GET", &format!("/embassy/conf?version={version}"), b"").await;
            let signed = SignedDirectory::parse(&bytes).unwrap();
            let certificates = &proxy.anchor().sources[0].certificates;
            for part in signed.verify(certificates, NOW).unwrap().parts {
                let path = public.join(part.location.trim_start_matches('/'));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, http(running.address(), "GET", &part.location, b"").await.1).unwrap();
            }
            let directory = public.join("directory");
            std::fs::write(&directory, bytes).unwrap();
            let output = std::process::Command::new("python3")
                .args([script.as_os_str(), directory.as_os_str(), anchor.as_os_str(), public.as_os_str()])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let good = said.contains("OK body") && said.matches(".xml True").count() == 3;
            assert!(good && !said.contains("False"), "{said}{}", String::from_utf8_lossy(&output.stderr));
        }
        central.stop().await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_meant_is_refused_with_what_is_wrong() {
    let (stage, _) = Stage::new().await;
    let good = std::fs::read_to_string(&stage.file).unwrap();
    for (change, to, why) in [
        ("version = 1", "version = 2", "version is 2"),
        ("name = \"embassy\"", "name = \"a/b\"", "name is"),
        ("name = \"embassy\"", "name = \"health\"", "name is"),
        ("\"ADDRESS\"", "\"http://a/\"", "address is"),
        ("\"3 d\"", "\"1 min\"", "renewal is"),
        ("\"3 d\"", "\"3 d\"\nminimum_version = 7", "minimum_version is 7"),
        ("\"3 d\"", "\"3 d\"\npatience = \"0 s\"", "patience"),
        ("\"3 d\"", "\"3 d\"\nvalidty = \"3 d\"", "validty"),
        ("instance/anchor.xml", "proxy.toml", "not a configuration anchor"),
    ] {
        std::fs::write(&stage.file, good.replace(change, to)).unwrap();
        let error = Proxy::open(&stage.file, stage.hand.clock()).unwrap_err().to_string();
        assert!(error.contains(why), "{change} -> {to}: {error}");
    }
    std::fs::write(&stage.file, &good).unwrap();
    let anchor = stage.federation.anchor();
    let text = std::fs::read_to_string(&anchor).unwrap().replace("http://", "https://");
    let text = text.replace("https://x-road.eu", "http://x-road.eu");
    std::fs::write(&anchor, text).unwrap();
    let error = Proxy::open(&stage.file, stage.hand.clock()).unwrap_err().to_string();
    assert!(error.contains("plain http"), "{error}");
    assert!(create_key(&stage.file, KeySpec::P256).unwrap_err().to_string().contains("exists already"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_with_nobody_upstream_and_fetches_by_itself_when_somebody_is() {
    let (stage, listener) = Stage::new().await;
    let text = std::fs::read_to_string(&stage.file).unwrap();
    std::fs::write(&stage.file, text.replace("\"3 d\"", "\"3 d\"\nrenewal = \"1 s\"")).unwrap();
    drop(listener);
    let proxy = Proxy::open(&stage.file, stage.hand.clock()).unwrap();
    let running = Running::listen(proxy).await.unwrap();
    let ready = async || http(running.address(), "GET", "/health/ready", b"").await;
    let wait = async |expected: (u16, &str)| {
        let started = std::time::Instant::now();
        loop {
            let (status, said) = ready().await;
            let said = String::from_utf8(said).unwrap();
            if status == expected.0 && said.contains(expected.1) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{status} {said}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    wait((503, "Connection refused")).await;
    let central = stage.central(TcpListener::bind(stage.upstream).await.unwrap());
    wait((200, "ready\n")).await;
    central.stop().await;
    wait((200, "3 d left")).await;
    running.stop().await;
}
