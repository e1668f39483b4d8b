//! The recordings, as they lie on disk.

use flate2::read::GzDecoder;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where the recordings lie.
#[derive(Debug)]
pub(crate) struct Recordings(PathBuf);

/// Which keys the recorded servers had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// RSA-2048.
    Rsa,
    /// ECDSA P-256.
    Ec,
    /// RSA-2048, certificates of an intermediate authority.
    Int,
}

/// One recorded case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What the information system said, and what it was told.
    pub(crate) client: (Vec<u8>, Vec<u8>),
    /// What the service was asked, and what it said, in order.
    pub(crate) service: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Flavour {
    pub(crate) const ALL: [Self; 3] = [Self::Rsa, Self::Ec, Self::Int];

    /// As the folders and keys are named.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ec => "ec",
            Self::Int => "int",
        }
    }
}

impl Recordings {
    /// The recordings; `None` (said plainly) when they are not here and need not be.
    pub(crate) fn find() -> Option<Self> {
        let set = std::env::var_os("SAATKOND_VECTORS").map(PathBuf::from);
        let vectors =
            set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"));
        let dir = vectors.join("xroad-recorded");
        if dir.is_dir() {
            return Some(Self(dir));
        }
        let required = std::env::var("SAATKOND_REQUIRE").is_ok_and(|v| v == "all");
        assert!(!required, "no recordings at {}", dir.display());
        println!("skipped: no recordings at {} (set SAATKOND_VECTORS)", dir.display());
        None
    }

    pub(crate) fn materials(&self) -> PathBuf {
        self.0.join("materials")
    }

    /// A key or certificate.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.materials().join("keys").join(name)
    }

    /// The names of all cases of a flavour.
    pub(crate) fn names(&self, flavour: Flavour) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(flavour.name())).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The files of a case; none where it was not recorded.
    pub(crate) fn files(&self, flavour: Flavour, name: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join(flavour.name()).join(name));
        let mut files: Vec<_> = entries.into_iter().flatten().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    }

    /// A case.
    pub(crate) fn case(&self, flavour: Flavour, name: &str) -> Case {
        self.case_of(flavour, name, "client")
    }

    /// A case of which several calls were recorded: `client` is the first part of the file names.
    pub(crate) fn case_of(&self, flavour: Flavour, name: &str, client: &str) -> Case {
        let dir = self.0.join(flavour.name()).join(name);
        let pair = |who: &str| {
            let read = |what: &str| bytes(&dir.join(format!("{who}-{what}.bin")));
            read("request").zip(read("response"))
        };
        let service = (1..).map_while(|n| pair(&format!("provider-{n}"))).collect();
        Case { name: name.to_owned(), client: pair(client).unwrap(), service }
    }
}

/// A file, or what its gzipped form holds.
fn bytes(file: &Path) -> Option<Vec<u8>> {
    if let Ok(bytes) = fs::read(file) {
        return Some(bytes);
    }
    let gzipped = fs::File::open(format!("{}.gz", file.display())).ok()?;
    let mut bytes = Vec::new();
    GzDecoder::new(gzipped).read_to_end(&mut bytes).unwrap();
    Some(bytes)
}
