//! What the commands of `saatkond keys` take.

use crate::admin::cli::{OfGateway, Shown};
use crate::keys::Usage;
use clap::{Args, Subcommand};
use saatkond_ca::key::KeySpec;
use saatkond_ca::naming::profile_by_name;
use saatkond_ca::request::AltName;
use saatkond_proto::id::MemberId;
use saatkond_proto::trust::profile::Profile;
use std::path::PathBuf;

/// What is done with keys.
#[derive(Debug, Clone, Subcommand)]
pub enum Keys {
    /// List keys: what they are for, whether they are used, what to do next
    List(Shown),
    /// Make a key, which waits for its certificate
    Generate(Generate),
    /// Write a certificate request for a key, with the subject that the authority expects
    Csr(Csr),
    /// Put a certificate beside its key, once it is checked as X-Road checks it
    Import(Import),
    /// Let a key be used; a running gateway takes it into use by itself
    Activate(Activate),
    /// Take a key out of use for good
    Retire(Retire),
    /// Encrypt all keys under a PIN, or change it
    Encrypt(Encrypt),
}

/// Arguments of `keys generate`.
#[derive(Debug, Clone, Args)]
pub struct Generate {
    /// Whose key, in which form that is told.
    #[command(flatten)]
    pub shown: Shown,
    /// What it is for
    #[arg(long = "use", value_name = "USE", value_enum)]
    pub usage: Usage,
    /// Its name, and that of its files; else the first free one of sign, sign-2, sign-3 …
    #[arg(long)]
    pub name: Option<String>,
    /// What kind of key: rsa-2048, rsa-3072, rsa-4096, p256 or p384; gateways before X-Road 7.6 know RSA alone
    #[arg(long, value_name = "KIND", default_value = "rsa-2048")]
    pub key: KeySpec,
}

/// Arguments of `keys csr`.
#[derive(Debug, Clone, Args)]
pub struct Csr {
    /// Whose key.
    #[command(flatten)]
    pub of: OfGateway,
    /// The key
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The member that shall sign with it; the server's owner if not told
    #[arg(long, value_name = "INSTANCE/CLASS/CODE")]
    pub member: Option<MemberId>,
    /// How it names whom.
    #[command(flatten)]
    pub naming: Naming,
    /// DER instead of PEM
    #[arg(long, requires = "out")]
    pub der: bool,
    /// Where the request goes; to standard output if not told
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How a request names whom it is for.
#[derive(Debug, Clone, Args)]
pub struct Naming {
    /// The approved authority that is asked, by its name in the global configuration; needed where there are several
    #[arg(long, value_name = "NAME", conflicts_with = "naming")]
    pub ca: Option<String>,
    /// How the authority names members, without looking into the global configuration: FiVRK, Ejbca, Basic, BasicACME, Fo,
    /// Is or SkKlass3
    #[arg(long, value_name = "PROFILE", value_parser = profile)]
    pub naming: Option<Profile>,
    /// The organisation's name, where the authority wants it; that of the global configuration if not told
    #[arg(long)]
    pub organization: Option<String>,
    /// The country, two letters, where the authority wants it and does not fix it
    #[arg(long)]
    pub country: Option<String>,
    /// The server's host name or address; the first goes into the subject where the authority wants it there
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<AltName>,
}

/// Arguments of `keys import`.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// Whose key, in which form that is told.
    #[command(flatten)]
    pub shown: Shown,
    /// The certificate in PEM or DER; certificates behind it in the file must lead to an approved authority
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Let it be used at once
    #[arg(long)]
    pub activate: bool,
}

/// Arguments of `keys activate`.
#[derive(Debug, Clone, Args)]
pub struct Activate {
    /// Whose key.
    #[command(flatten)]
    pub of: OfGateway,
    /// The key
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Arguments of `keys retire`.
#[derive(Debug, Clone, Args)]
pub struct Retire {
    /// Whose key.
    #[command(flatten)]
    pub of: OfGateway,
    /// The key
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Remove the private key, too; its certificate stays
    #[arg(long)]
    pub destroy: bool,
    /// Do not ask, not even before the last key of its use goes
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `keys encrypt`.
#[derive(Debug, Clone, Args)]
pub struct Encrypt {
    /// Whose keys.
    #[command(flatten)]
    pub of: OfGateway,
    /// File with the new PIN, one line; asked for at the terminal if not told
    #[arg(long, value_name = "FILE", conflicts_with = "remove")]
    pub new_pin_file: Option<PathBuf>,
    /// Take the encryption away
    #[arg(long)]
    pub remove: bool,
    /// Do not ask before the encryption is taken away
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// Which gateway.
    #[command(flatten)]
    pub of: OfGateway,
    /// What kind of keys: rsa-2048, rsa-3072, rsa-4096, p256 or p384; gateways before X-Road 7.6 know RSA alone
    #[arg(long, value_name = "KIND", default_value = "rsa-2048")]
    pub key: KeySpec,
    /// How it names whom.
    #[command(flatten)]
    pub naming: Naming,
}

fn profile(name: &str) -> Result<Profile, String> {
    let rule = "expected FiVRK, Ejbca, Basic, BasicACME, Fo, Is or SkKlass3";
    profile_by_name(name).ok_or_else(|| rule.to_owned())
}
