//! What the commands of `saatkond services` take.

use crate::admin::cli::{OfGateway, Shown};
use crate::conf::units::Span;
use clap::{ArgAction, ArgGroup, Args, Subcommand};
use saatkond_proto::id::ClientId;
use saatkond_proto::message::description;

/// What is done with services.
#[derive(Debug, Clone, Subcommand)]
pub enum Services {
    /// List services: what they speak, where they answer, whether they serve
    List(List),
    /// Add the services of a WSDL, one of an OpenAPI document, or a REST service without a description
    Add(Add),
    /// Read descriptions anew, show what has changed, and take it over; rights on what remains are kept
    Refresh(Refresh),
    /// Let services serve
    Enable(Enable),
    /// Let services serve no longer; callers are told why
    Disable(Disable),
    /// Change where services answer, how long they may take, whether their TLS certificate is checked
    Set(Set),
    /// Take services out, with all rights on them
    Remove(Remove),
}

/// Arguments of `services list`.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// Whose services, in which form.
    #[command(flatten)]
    pub shown: Shown,
    /// Only these: a client, a service, or a description
    #[arg(value_name = "CLIENT|SERVICE|DESCRIPTION")]
    pub which: Vec<String>,
}

/// Arguments of `services add`.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["wsdl", "openapi", "rest"])))]
pub struct Add {
    /// Where it is written, in which form that is told.
    #[command(flatten)]
    pub shown: Shown,
    /// Who provides it; one of server.toml's clients
    #[arg(value_name = "INSTANCE/CLASS/CODE[/SUBSYSTEM]")]
    pub client: ClientId,
    /// A WSDL, by URL or file: each operation bound to SOAP over HTTP is a service
    #[arg(long, value_name = "URL|FILE", conflicts_with = "code")]
    pub wsdl: Option<String>,
    /// An OpenAPI 3.0 or 3.1 document, by URL or file: each operation is an endpoint
    #[arg(long, value_name = "URL|FILE", requires = "code")]
    pub openapi: Option<String>,
    /// The URL of a REST service without a description
    #[arg(long, value_name = "URL", requires = "code", conflicts_with = "url")]
    pub rest: Option<String>,
    /// The service code, of an OpenAPI or REST service
    #[arg(long, value_name = "CODE", value_parser = code)]
    pub code: Option<String>,
    /// Where it answers, instead of where the description says
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// What else is said of it.
    #[command(flatten)]
    pub more: More,
    /// Let it serve at once; callers still need rights
    #[arg(long)]
    pub enable: bool,
    /// Take warnings of the description without being asked
    #[arg(long)]
    pub yes: bool,
}

/// What may be said of any service.
#[derive(Debug, Clone, Args)]
pub struct More {
    /// From request to the head of its answer, such as "30 s"
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub timeout: Option<Span>,
    /// Whether it must show one of the client's certificates, at an https URL
    #[arg(long, value_name = "true|false", action = ArgAction::Set)]
    pub verify_tls: Option<bool>,
}

/// Arguments of `services refresh`.
#[derive(Debug, Clone, Args)]
pub struct Refresh {
    /// Where it is written, in which form that is told.
    #[command(flatten)]
    pub shown: Shown,
    /// Only these: a client, a service, or a description
    #[arg(value_name = "CLIENT|SERVICE|DESCRIPTION")]
    pub which: Vec<String>,
    /// Take the changes over without being asked
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `services enable`.
#[derive(Debug, Clone, Args)]
pub struct Enable {
    /// Where it is written.
    #[command(flatten)]
    pub of: OfGateway,
    /// These: a client, a service, or a description
    #[arg(value_name = "CLIENT|SERVICE|DESCRIPTION", required = true)]
    pub which: Vec<String>,
}

/// Arguments of `services remove`.
#[derive(Debug, Clone, Args)]
pub struct Remove {
    /// Where it is written.
    #[command(flatten)]
    pub of: OfGateway,
    /// These: a client, a service, or a description
    #[arg(value_name = "CLIENT|SERVICE|DESCRIPTION", required = true)]
    pub which: Vec<String>,
    /// Take them out without being asked
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `services disable`.
#[derive(Debug, Clone, Args)]
pub struct Disable {
    /// Where it is written.
    #[command(flatten)]
    pub of: OfGateway,
    /// These: a client, a service, or a description
    #[arg(value_name = "CLIENT|SERVICE|DESCRIPTION", required = true)]
    pub which: Vec<String>,
    /// What callers are told
    #[arg(long, value_name = "TEXT", default_value = "Out of order")]
    pub notice: String,
}

/// Arguments of `services set`.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("value").required(true).multiple(true).args(["url", "timeout", "verify_tls", "description"])))]
pub struct Set {
    /// Where it is written.
    #[command(flatten)]
    pub of: OfGateway,
    /// These: a client, a service, or a description
    #[arg(value_name = "CLIENT|SERVICE|DESCRIPTION", required = true)]
    pub which: Vec<String>,
    /// Where they answer
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// What else is said of them.
    #[command(flatten)]
    pub more: More,
    /// Where they are described; `refresh` then reads it
    #[arg(long, value_name = "URL|FILE")]
    pub description: Option<String>,
}

fn code(text: &str) -> Result<String, String> {
    let rule = "expected a service code: a text without any of : ; / \\ % and control characters";
    description::is_code(text).then(|| text.to_owned()).ok_or_else(|| rule.to_owned())
}

fn span(text: &str) -> Result<Span, String> {
    let rule = "expected a whole number and ms, s, min, h or d, such as \"30 s\"";
    Span::from_text(text).ok_or_else(|| rule.to_owned())
}
