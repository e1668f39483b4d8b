//! Keeps the newest decision about sites and registers that was ever taken: an older one is refused, whoever signs it.
//!
//! A directory stays valid for minutes after the next was signed, and a source may lag: without this memory a gateway
//! could be brought to believe yesterday's sites. Store: `continuity/`. Trusted: who can write to it takes the memory away.

use super::globalconf::{GlobalConfError, read_bounded, write_whole};
use crate::conf::Conf;
use saatkond_proto::continuity::{FILE_NAME, Policy};
use saatkond_proto::globalconf::GlobalConf;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn file(conf: &Conf) -> PathBuf {
    conf.continuity_dir().join(FILE_NAME)
}

/// What is remembered; `None` before the first.
///
/// # Errors
/// [`GlobalConfError::Disk`], [`GlobalConfError::Remembered`]: what was decided last is not known.
fn remembered(file: &Path, instance: &str) -> Result<Option<Policy>, GlobalConfError> {
    match read_bounded(file) {
        Ok(bytes) => Policy::from_xml(&bytes, instance)
            .map(Some)
            .map_err(|source| GlobalConfError::Remembered { file: file.to_owned(), source }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(GlobalConfError::Disk { file: file.to_owned(), source }),
    }
}

/// Puts the policy that is to be believed into a configuration that was read: the one in it, unless an earlier stands.
///
/// `unread` says why the published part was not read.
///
/// # Errors
/// [`GlobalConfError`] when what was decided last is not known.
pub(super) fn settle(
    conf: &Conf,
    read: GlobalConf,
    unread: Option<String>,
) -> Result<GlobalConf, GlobalConfError> {
    let Some(before) = remembered(&file(conf), conf.instance())? else { return Ok(read) };
    let trouble = match read.continuity() {
        Some(offered) if offered.generation > before.generation || *offered == before => return Ok(read),
        Some(offered) if offered.generation == before.generation => {
            "it has the same generation and differs".to_owned()
        }
        Some(offered) => format!("it has generation {}", offered.generation),
        None => {
            unread.map_or_else(|| "there is none any more".to_owned(), |why| format!("it is not read: {why}"))
        }
    };
    let trouble = format!(
        "sites and registers stay as generation {} said; what is published is not taken: {trouble}",
        before.generation
    );
    Ok(read.with_policy(Some(Arc::new(before)), Some(trouble)))
}

/// Remembers the policy of a configuration before anything goes by it. Blocks.
///
/// # Errors
/// [`GlobalConfError::Disk`].
pub(super) fn remember(conf: &Conf, believed: &GlobalConf) -> Result<(), GlobalConfError> {
    let Some(policy) = believed.continuity() else { return Ok(()) };
    let (file, bytes) = (file(conf), policy.to_xml());
    let disk = |source: io::Error| GlobalConfError::Disk { file: file.clone(), source };
    if read_bounded(&file).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    std::fs::create_dir_all(conf.continuity_dir()).map_err(disk)?;
    write_whole(&file, &bytes).map_err(disk)?;
    let dir = std::fs::File::open(conf.continuity_dir()).map_err(disk)?;
    dir.sync_all().map_err(disk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{Bed, TestDir, member, server};
    use saatkond_proto::continuity::{Jurisdiction, Role, Site};

    fn policy(generation: u64, site: &str) -> Policy {
        Policy {
            generation,
            sites: vec![Site {
                id: site.to_owned(),
                role: Role::Home,
                jurisdiction: Jurisdiction::Territory,
                servers: vec![server()],
                relay: Vec::new(),
            }],
            registers: Vec::new(),
            operators: Vec::new(),
        }
    }

    struct Stage {
        _dir: TestDir,
        conf: Conf,
        read: GlobalConf,
    }

    impl Stage {
        fn new() -> Self {
            let dir = TestDir::new("policy");
            let text = format!("version = 1\nserver = \"{}/TAX\"\nstate = \".\"\n", member());
            let conf = Conf::from_toml(&text, &dir.0.join("gateway.toml")).unwrap();
            Self { conf, read: Bed::new().conf(), _dir: dir }
        }

        /// What is believed when this is published, remembered as the job does it.
        fn publish(&self, policy: Option<Policy>, unread: Option<&str>) -> GlobalConf {
            let read = self.read.clone().with_policy(policy.map(Arc::new), None);
            let believed = settle(&self.conf, read, unread.map(str::to_owned)).unwrap();
            remember(&self.conf, &believed).unwrap();
            believed
        }
    }

    #[test]
    fn an_older_decision_is_never_taken_again() {
        let stage = Stage::new();
        assert_eq!(stage.publish(None, None).continuity(), None);
        for generation in [3, 3, 7] {
            let believed = stage.publish(Some(policy(generation, "home")), None);
            assert_eq!(believed.continuity(), Some(&policy(generation, "home")));
            assert_eq!(believed.continuity_trouble(), None);
        }
        for (published, unread, said) in [
            (Some(policy(6, "home")), None, "it has generation 6"),
            (Some(policy(7, "other")), None, "the same generation and differs"),
            (None, None, "there is none any more"),
            (None, Some("no XML"), "it is not read: no XML"),
        ] {
            let believed = stage.publish(published, unread);
            assert_eq!(believed.continuity(), Some(&policy(7, "home")), "{said}");
            let trouble = believed.continuity_trouble().unwrap();
            assert!(trouble.contains("generation 7") && trouble.contains(said), "{trouble}");
        }
        let believed = stage.publish(Some(policy(8, "other")), None);
        assert_eq!((believed.continuity(), believed.continuity_trouble()), (Some(&policy(8, "other")), None));
    }

    #[test]
    fn a_memory_that_is_not_read_is_no_reason_to_forget() {
        let stage = Stage::new();
        stage.publish(Some(policy(3, "home")), None);
        std::fs::write(file(&stage.conf), "<continuity/>").unwrap();
        let error = settle(&stage.conf, stage.read.clone(), None).unwrap_err();
        assert!(matches!(&error, GlobalConfError::Remembered { .. }), "{error}");
        assert!(error.to_string().contains("continuity-params.xml"), "{error}");
    }
}
