//! The scenarios of GovStack's public test of an Information Mediator (`test/openAPI` of `bb-information-mediator`): what
//! it sends, and what it holds of the answers. Its providers are of four instances, its client of a fifth: the calls go over
//! the borders between them.

use saatkond_proto::globalconf::Instance;
use saatkond_tests::{Answer, Ask, Federation, Heard, Service, Site};
use serde_json::Value;

/// Its client, and the path under which its own calls begin where an adaptor has put them.
const CLIENT: &str = "eGovStack/GOV/90000009/digitalregistries";

/// Its providers: instance, class, code, application; in the order of its examples.
const PROVIDERS: [[&str; 4]; 4] = [
    ["identifier", "identifier", "alp4aNum3r1c", "alp4aNum3r1c"],
    ["a11a11a11a", "asd2211a", "12as12", "m3mb3rc0d3"],
    ["a552example", "zzz321a", "m3mb3rc0d3", "aa15"],
    ["valid1dentifi3r", "rand0mid3nt", "str1ng", "azxcv55"],
];

/// The service that it asks about, at every provider.
const SERVICE: &str = "alp4aNum3r1c";
const DOCUMENT: &str = "openapi: 3.0.0\ninfo: {title: \"Õ\"}\nservers: [{url: http://inside/a}]\n";

/// The client's gateway, and what must live as long.
struct Bed {
    client: Site,
    _providers: Vec<Site>,
    _federations: Vec<Federation>,
    _service: Service,
}

/// An instance with this member and subsystem, in the place of the one at `place`.
async fn federation(place: usize, [instance, class, code, application]: [&str; 4]) -> Federation {
    let named = [instance, class, code, application].map(str::to_owned);
    Federation::of(move |plan| {
        let [instance, class, code, application] = named;
        plan.instance = instance;
        let member = &mut plan.members[place];
        (member.class, member.code, member.subsystems) = (class, code, vec![application]);
    })
    .await
}

/// As another instance sees it.
fn seen_from_outside(site: &Site) -> Instance {
    Instance { private: None, ..site.instances().remove(0) }
}

impl Bed {
    async fn open() -> Self {
        let service =
            Service::start(|_| Answer::new("200 OK", &[("Content-Type", "text/yaml")], DOCUMENT)).await;
        let of_client = federation(0, ["eGovStack", "GOV", "90000009", "digitalregistries"]).await;
        let asks = format!("version = 1\n[[client]]\nid = \"{CLIENT}\"\nconnection = \"http\"\n");
        let client = of_client.open("TAX", &asks).await;
        let (mut federations, mut providers) = (Vec::new(), Vec::new());
        for names in PROVIDERS {
            let mut of_provider = federation(1, names).await;
            // One gateway asks all others at the same two ports.
            (of_provider.port, of_provider.ocsp_port) = (of_client.port, of_client.ocsp_port);
            let url = service.url("/");
            let offers = format!(
                "version = 1\n[[client]]\nid = \"{}\"\nconnection = \"http\"\n\
                 [[client.service]]\ncode = \"{SERVICE}\"\nkind = \"openapi\"\nurl = \"{url}\"\ndescription = \"{url}\"\n\
                 [[client.service.endpoint]]\nmethod = \"GET\"\npath = \"/a\"\nallow = [{{ client = \"{CLIENT}\" }}]\n\
                 [[client.service]]\ncode = \"plain\"\nurl = \"{url}\"\n",
                names.join("/")
            );
            let provider = of_provider.open("HOME", &offers).await;
            provider.believe_all(|instances| instances.push(seen_from_outside(&client)));
            federations.push(of_provider);
            providers.push(provider);
        }
        client.believe_all(|instances| {
            instances.extend(providers.iter().map(seen_from_outside));
            // Its test lists the clients of these, too.
            for number in ["", "1", "2", "3", "4"] {
                let mut other = seen_from_outside(&client);
                other.shared.instance = format!("instanceId{number}");
                other
                    .shared
                    .members
                    .iter_mut()
                    .for_each(|m| m.id.instance.clone_from(&other.shared.instance));
                instances.push(other);
            }
        });
        federations.push(of_client);
        Self { client, _providers: providers, _federations: federations, _service: service }
    }

    /// Sends a call as an adaptor passes it on, which stands for the client.
    async fn ask(&self, target: &str, lines: &[(&str, &str)]) -> Heard {
        let mut ask = Ask::new("GET", "").target(&format!("/govstack{target}")).client(CLIENT);
        for (name, value) in lines {
            ask = ask.line(name, value);
        }
        self.client.ask(&ask).await
    }
}

/// A field that may be there, and what it must be.
struct Field(&'static str, fn(&Value) -> bool);

/// Whether a value has only fields that are named, each of its kind: what the test's `responseSchema` says.
fn fits(value: &Value, fields: &[Field]) -> bool {
    let known = |(name, value): (&String, &Value)| fields.iter().any(|Field(n, is)| n == name && is(value));
    value.as_object().is_some_and(|object| object.iter().all(known))
}

/// A list of clients or services, as its schema wants it.
fn list(heard: &Heard) -> Vec<Value> {
    fn is_endpoint(value: &Value) -> bool {
        fits(value, &[Field("method", Value::is_string), Field("path", Value::is_string)])
    }
    fn is_list(value: &Value) -> bool {
        fits(value, &[Field("member", |list| list.as_array().is_some_and(|all| all.iter().all(is_endpoint)))])
    }
    fn is_type(value: &Value) -> bool {
        let known =
            ["MEMBER", "SUBSYSTEM", "SERVER", "GLOBALGROUP", "SECURITYCATEGORY", "SERVICE", "CENTRALSERVICE"];
        fits(value, &[Field("object_type", |_| true)])
            && value["object_type"].as_str().is_some_and(|text| known.contains(&text) || text == "LOCALGROUP")
    }
    let fields = [
        Field("objectType", is_type),
        Field("serviceType", Value::is_string),
        Field("GovStackInstance", Value::is_string),
        Field("memberClass", Value::is_string),
        Field("memberCode", Value::is_string),
        Field("applicationCode", Value::is_string),
        Field("serviceCode", Value::is_string),
        Field("endpointList", is_list),
    ];
    assert_eq!(
        (heard.status(), heard.line("content-type")),
        (200, Some("application/json; charset=utf-8")),
        "{heard:?}"
    );
    let body: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    let members = body["member"].as_array().unwrap_or_else(|| panic!("{body}"));
    assert!(members.iter().all(|member| fits(member, &fields)), "{body}");
    members.clone()
}

/// Codes of listed services.
fn codes(heard: &Heard) -> Vec<String> {
    list(heard).iter().map(|service| service["serviceCode"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scenarios_of_govstacks_public_test_end_as_it_says() {
    let bed = Bed::open().await;
    for number in ["", "1", "2", "3", "4"] {
        let query = format!("?serviceId=serviceId{number}&instanceId=instanceId{number}");
        // Its client writes a query once more when it asks again.
        for query in [&query, &query.repeat(2)] {
            let heard = bed.ask(&format!("/listClients{query}"), &[]).await;
            assert_eq!(list(&heard)[0]["GovStackInstance"], format!("instanceId{number}"), "{query}");
        }
    }
    let as_client = [("Information-Mediator-Client", CLIENT)];
    for (number, names) in PROVIDERS.iter().enumerate() {
        let (path, quoted) = (names.join("/"), names.map(|name| format!("%22{name}%22")).join("/"));
        // It sends the header's own name as its value.
        let unread = [("X-GovStack-Client", "X-GovStack-Client")];
        let methods = bed.ask(&format!("/{path}/listMethods?serviceId=serviceId{number}"), &unread).await;
        assert_eq!(codes(&methods), [SERVICE, "plain"]);
        // It sends the examples' quotation marks with them.
        for path in [&path, &quoted] {
            let target = format!("/{path}/allowedMethods?%22serviceId{number}%22=%22serviceId{number}%22");
            assert_eq!(codes(&bed.ask(&target, &as_client).await), [SERVICE]);
        }
        let heard = bed.ask(&format!("/{path}/getOpenAPI?serviceCode={SERVICE}"), &as_client).await;
        let head = (heard.status(), heard.line("content-type"));
        assert_eq!(head, (200, Some("application/json; charset=utf-8")), "{heard:?}");
        let document: String = serde_json::from_slice(&heard.body).unwrap();
        assert_eq!(document, DOCUMENT.replace("http://inside/a", "\"/a\""));
    }
    let known = PROVIDERS[0].join("/");
    for target in [
        "1nval1d/identifier/alp4aNum3r1c/alp4aNum3r1c/getOpenAPI?serviceCode=alp4aNum3r1c",
        "identifier/1nval1d/alp4aNum3r1c/alp4aNum3r1c/getOpenAPI?serviceCode=alp4aNum3r1c",
        "identifier/identifier/_invalid/alp4aNum3r1c/getOpenAPI?serviceCode=alp4aNum3r1c",
        "identifier/identifier/str1ng/_invalid/getOpenAPI?serviceCode=alp4aNum3r1c",
        "1nval1d/1nval1d/_invalid/_invalid/getOpenAPI?serviceCode=alp4aNum3r1c",
        &format!("{known}/getOpenAPI?serviceCode=_invalid"),
        &format!("{known}/getOpenAPI?serviceCode="),
        &format!("{known}/getOpenAPI"),
        // Beyond its scenarios.
        &format!("{known}/getOpenAPI?serviceCode=plain"),
        "listClients?instanceId=none",
        "healthcheck",
    ] {
        let heard = bed.ask(&format!("/{target}"), &as_client).await;
        assert_eq!(heard.status(), 400, "{target}: {heard:?}");
        assert!(serde_json::from_slice::<String>(&heard.body).is_ok(), "{target}: {heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_keeps_the_rules_of_its_door() {
    let bed = Bed::open().await;
    let target = format!("/{}/listMethods", PROVIDERS[0].join("/"));
    // Whoever is named must be a client here, and speak as that one must.
    for (lines, status) in [
        (vec![("Information-Mediator-Client", "eGovStack/GOV/90000009/other")], 500),
        (
            vec![
                ("X-GovStack-Client", "eGovStack/GOV/90000009/other"),
                ("Information-Mediator-Client", CLIENT),
            ],
            200,
        ),
    ] {
        let heard = bed.ask(&target, &lines).await;
        assert_eq!(heard.status(), status, "{lines:?}: {heard:?}");
    }
    let mut nobody = Ask::get("").target(&format!("/govstack{target}"));
    nobody.lines.retain(|(name, _)| name != "X-Road-Client");
    assert_eq!(bed.client.ask(&nobody).await.status(), 400);
    // What is no question to the directory goes where it always went.
    let mut post = nobody.clone();
    post.method = "POST".to_owned();
    assert_eq!(bed.client.ask(&post).await.status(), 200);
    assert!(bed.client.log().len() == 2, "one exchange was let through");
}
