//! `saatkond services`: what this server offers, looked at and changed in `server.toml`, which stays the one truth.
//!
//! | file | what it holds |
//! |---|---|
//! | [`arguments`] | what the commands take |
//! | `document` | `server.toml`, changed in place |
//! | `read` | descriptions, held against it |
//! | `step` | what is to be changed, shown and done |
//! | `list` | what there is |

pub mod arguments;
mod document;
mod list;
mod read;
mod step;

use super::words::count;
use crate::conf::units::Span;
use crate::conf::{Conf, Description, ServiceKind};
use arguments::{Add, Disable, Enable, List, More, Refresh, Remove, Services, Set};
use document::{Document, set};
use read::{Source, Trust, Wish};
use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_proto::id::{ClientId, ServiceId};
use serde_json::{Value, json};
use std::path::Path;
use step::{Plan, Step, intent};

/// Does what was asked.
///
/// # Errors
/// [`Failure`]: then `server.toml` is as it was.
pub(super) async fn run(conf: &Conf, command: Services, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let document = Document::open(conf)?;
    let editing = Editing { conf, document, streams };
    match command {
        Services::List(list) => editing.list(&list),
        Services::Add(add) => editing.add(add).await,
        Services::Refresh(refresh) => editing.refresh(&refresh).await,
        Services::Enable(enable) => editing.enable(&enable),
        Services::Disable(disable) => editing.disable(&disable),
        Services::Set(set) => editing.set(&set),
        Services::Remove(remove) => editing.remove(&remove),
    }
}

/// Which gateway a command is about.
#[must_use]
pub(super) const fn config(command: &Services) -> &super::cli::OfGateway {
    match command {
        Services::List(List { shown, .. })
        | Services::Add(Add { shown, .. })
        | Services::Refresh(Refresh { shown, .. }) => &shown.of,
        Services::Enable(Enable { of, .. })
        | Services::Remove(Remove { of, .. })
        | Services::Disable(Disable { of, .. })
        | Services::Set(Set { of, .. }) => of,
    }
}

/// A command at work on the file.
struct Editing<'a, 's, 'w> {
    conf: &'a Conf,
    document: Document,
    streams: &'s mut Streams<'w>,
}

impl Editing<'_, '_, '_> {
    fn list(self, list: &List) -> Result<Exit, Failure> {
        let chosen = self.document.select(&list.which)?;
        if list.shown.json {
            let all: Vec<Value> = chosen.iter().filter_map(|id| list::json(&self.document, id)).collect();
            self.streams.data(format!("{:#}", Value::Array(all)));
        } else if chosen.is_empty() {
            self.streams.talk(format!("{} has no service", self.document.file().display()));
        } else {
            self.streams.data(list::table(&self.document, &chosen, !list.which.is_empty()));
        }
        Ok(Exit::Done)
    }

    async fn add(self, add: Add) -> Result<Exit, Failure> {
        let document = &self.document;
        if document.conf.client(&add.client).is_none() {
            let text = format!("{} has no client {}", document.file().display(), add.client);
            let hint = "a client is written there by hand: [[client]] with its `id` and how its information systems connect";
            return Err(Failure::new(Exit::Usage, text).hint(hint));
        }
        let More { timeout, verify_tls } = add.more;
        let wish = Wish { client: add.client, url: add.url, timeout, verify_tls, enable: add.enable };
        let trust = Trust { client: &wish.client, verify_tls: verify_tls.unwrap_or(true) };
        let code = add.code.as_deref().unwrap_or_default();
        let plan = match (&add.wsdl, &add.openapi, &add.rest) {
            (Some(place), ..) => {
                let source = self.source(place);
                self.is_new(&wish.client, &source)?;
                let wsdl = source.wsdl(self.conf, document, trust).await?;
                wish.add_wsdl(document, &source, &wsdl)?
            }
            (_, Some(place), _) => {
                let source = self.source(place);
                self.is_new(&wish.client, &source)?;
                let openapi = source.openapi(self.conf, document, trust).await?;
                wish.add_openapi(code, &source, &openapi)?
            }
            (.., url) => wish.add_rest(code, url.as_deref().unwrap_or_default()),
        };
        self.are_new(&plan)?;
        let must_agree = !plan.warnings.is_empty();
        self.take(&[plan], must_agree && !add.yes, add.shown.json)
    }

    /// A description that a command names.
    fn source(&self, place: &str) -> Source {
        let written = self.document.place(place);
        let description = if written.contains("://") {
            Description::Url(written.clone())
        } else {
            Description::File(self.document.file().parent().unwrap_or(Path::new("")).join(&written))
        };
        Source { description, written }
    }

    /// Refuses a description that the client has already.
    fn is_new(&self, client: &ClientId, source: &Source) -> Result<(), Failure> {
        let known = self.document.conf.client(client);
        let is_there = |c: &crate::conf::Client| {
            c.services.iter().any(|s| s.description.as_ref() == Some(&source.description))
        };
        if known.is_some_and(is_there) {
            let text = format!("{client} has services of {} already", source.description);
            let hint = format!("saatkond services refresh {:?} reads it anew", source.written);
            return Err(Failure::new(Exit::Usage, text).hint(hint));
        }
        Ok(())
    }

    /// Refuses services that are there already. Spec: trust-and-configuration §5.4: letter case aside.
    fn are_new(&self, plan: &Plan) -> Result<(), Failure> {
        for step in &plan.steps {
            let Step::AddService(new) = step else { continue };
            // The code of a REST service is no SOAP service's, whatever its version.
            let is_same = |id: &ServiceId| {
                id.client == new.id.client
                    && id.code.eq_ignore_ascii_case(&new.id.code)
                    && (id.version == new.id.version || new.kind != "soap")
            };
            let stays = |id: &ServiceId| {
                !plan.steps.iter().any(|step| matches!(step, Step::RemoveService(gone, _) if gone == id))
            };
            if let Some(same) = self.document.services().find(|id| is_same(id) && stays(id)) {
                let text = format!("{same} is there already");
                return Err(Failure::new(Exit::Usage, text)
                    .hint("codes are compared without letter case; nothing is changed"));
            }
        }
        Ok(())
    }

    async fn refresh(self, refresh: &Refresh) -> Result<Exit, Failure> {
        let chosen = self.document.select(&refresh.which)?;
        let described = |id: &ServiceId| {
            let service = self.document.conf.service(id)?;
            let written = document::text(self.document.service(id)?, "description")?.to_owned();
            Some((id.clone(), service.kind, Source { description: service.description.clone()?, written }))
        };
        let mut groups: Vec<(Vec<ServiceId>, ServiceKind, Source)> = Vec::new();
        for (id, kind, source) in chosen.iter().filter_map(described) {
            let is_its = |(ids, k, s): &&mut (Vec<ServiceId>, ServiceKind, Source)| {
                kind == ServiceKind::Soap
                    && *k == kind
                    && *s == source
                    && ids.iter().all(|i| i.client == id.client)
            };
            match groups.iter_mut().find(is_its) {
                Some((ids, ..)) => ids.push(id),
                None => groups.push((vec![id], kind, source)),
            }
        }
        if groups.is_empty() {
            let text = "none of these services has a description".to_owned();
            return Err(Failure::new(Exit::Usage, text)
                .hint("`saatkond services set SERVICE --description URL` gives one"));
        }
        let mut plans = Vec::new();
        for (ids, kind, source) in groups {
            plans.extend(self.reread(&ids, kind, &source).await?);
        }
        for plan in &plans {
            self.are_new(plan)?;
        }
        let must_agree = plans.iter().any(|plan| !plan.steps.is_empty());
        self.take(&plans, must_agree && !refresh.yes, refresh.shown.json)
    }

    /// Reads one description anew: of the services of one client that it describes.
    async fn reread(
        &self,
        ids: &[ServiceId],
        kind: ServiceKind,
        source: &Source,
    ) -> Result<Option<Plan>, Failure> {
        let Some(id) = ids.first() else { return Ok(None) };
        let table = self.document.service(id);
        let verify_tls = table.and_then(|t| t.get("verify_tls")).and_then(toml_edit::Item::as_bool);
        let trust = Trust { client: &id.client, verify_tls: verify_tls.unwrap_or(true) };
        if kind == ServiceKind::OpenApi {
            let openapi = source.openapi(self.conf, &self.document, trust).await?;
            return Ok(Some(read::refresh_openapi(&self.document, id, source, &openapi)));
        }
        // All that the WSDL has described, though perhaps only one of it was named.
        let client = &id.client;
        let is_its = |id: &ServiceId| {
            let service = self.document.conf.service(id);
            id.client == *client
                && service
                    .is_some_and(|s| s.kind == kind && s.description.as_ref() == Some(&source.description))
        };
        let group: Vec<ServiceId> = self.document.services().filter(is_its).collect();
        let wsdl = source.wsdl(self.conf, &self.document, trust).await?;
        Ok(Some(read::refresh_wsdl(&self.document, client, &group, source, &wsdl)))
    }

    fn enable(mut self, enable: &Enable) -> Result<Exit, Failure> {
        let chosen = self.document.select(&enable.which)?;
        for id in &chosen {
            if let Some(service) = self.document.service_mut(id).filter(|s| s.contains_key("enabled")) {
                set(service, "enabled", true);
            }
        }
        self.write(&count(chosen.len() as u64, "service serves", "services serve"))
    }

    fn disable(mut self, disable: &Disable) -> Result<Exit, Failure> {
        let chosen = self.document.select(&disable.which)?;
        for id in &chosen {
            if let Some(service) = self.document.service_mut(id) {
                set(service, "enabled", false);
                set(service, "notice", disable.notice.as_str());
            }
        }
        let disabled = count(chosen.len() as u64, "service is", "services are");
        self.write(&format!("{disabled} disabled: callers are told {:?}", disable.notice))
    }

    fn set(mut self, wanted: &Set) -> Result<Exit, Failure> {
        let chosen = self.document.select(&wanted.which)?;
        let description = wanted.description.as_deref().map(|place| self.document.place(place));
        for id in &chosen {
            let Some(service) = self.document.service_mut(id) else { continue };
            if let Some(url) = &wanted.url {
                set(service, "url", url.as_str());
            }
            if let Some(Span(timeout)) = wanted.more.timeout {
                set(service, "timeout", Span(timeout).to_string());
            }
            if let Some(verify) = wanted.more.verify_tls {
                set(service, "verify_tls", verify);
            }
            if let Some(place) = &description {
                set(service, "description", place.as_str());
            }
        }
        self.write(&format!("{} changed", count(chosen.len() as u64, "service is", "services are")))
    }

    fn remove(self, remove: &Remove) -> Result<Exit, Failure> {
        let chosen = self.document.select(&remove.which)?;
        let gone =
            |id: &ServiceId| Step::RemoveService(id.clone(), read::rights(self.document.conf.service(id)));
        let steps = chosen.iter().map(gone).collect();
        let plan = Plan {
            of: remove.which.join(" "),
            kind: "",
            description: String::new(),
            steps,
            warnings: Vec::new(),
            notes: Vec::new(),
        };
        self.take(&[plan], !remove.yes, false)
    }

    /// Shows what is to be changed, asks, and changes it. What would be refused is not shown first.
    fn take(mut self, plans: &[Plan], must_agree: bool, is_json: bool) -> Result<Exit, Failure> {
        let steps: Vec<&Step> = plans.iter().flat_map(|plan| &plan.steps).collect();
        steps.iter().for_each(|step| step.take(&mut self.document));
        self.document.check()?;
        if !is_json {
            plans.iter().for_each(|plan| self.streams.data(plan.words()));
        }
        let all: Vec<Value> = plans.iter().map(Plan::json).collect();
        let told = |is_written| format!("{:#}", json!({"written": is_written, "descriptions": all}));
        let Self { conf, document, streams } = self;
        let agreed = streams.agreed(&intent(plans, document.file()), !must_agree || steps.is_empty());
        let written = agreed.and_then(|()| match steps.len() {
            0 => Ok(Exit::Done),
            many => {
                let what = count(many as u64, "change", "changes");
                Editing { conf, document, streams: &mut *streams }.write(&what)
            }
        });
        if is_json {
            streams.data(told(written.is_ok() && !steps.is_empty()));
        }
        written
    }

    /// Writes what was changed, and says so.
    fn write(self, what: &str) -> Result<Exit, Failure> {
        let (file, within) = (self.document.file().display(), Span(self.conf.jobs.server_file));
        let written = if self.document.save()? {
            format!("wrote {file}, which a running gateway takes over within {within}")
        } else {
            format!("nothing had to be changed in {file}")
        };
        self.streams.talk(format!("{what}: {written}"));
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests;
