//! What travels between X-Road security servers, and when it is valid.
//!
//! The crate is pure: no sockets, no clock, no disk, no randomness, no logging. Time, trust and bytes are
//! arguments; readers are machines fed with bytes. The program around it (crate `saatkond`) drives them.
//!
//! | module | document | what it holds |
//! |---|---|---|
//! | [`id`] | PR-REST §4, PR-MESS §2.1 | names of members, subsystems, services and servers |
//! | [`message`] | PR-REST | what two information systems say to each other |
//! | [`transport`] | PR-MESSTRANSP | how a message rides between gateways |
//! | [`signature`] | PR-SIGDOC, XAdES | what a signature covers, and whether it holds |
//! | [`trust`] | RFC 5280, 6960, 3161 | whether a certificate may be believed at a given second |
//! | [`globalconf`] | PR-GCONF | the instance's phone book and list of trusted services |
//! | [`continuity`] | ours | sites, registers, and which copy may do what |
//! | [`management`] | PR-MSERV | what a security server asks of the central server |
//! | [`container`] | ASiC-E | a message and its proof as one file |
//! | [`fault`] | PR-MESS §2.7 | every error code a gateway may utter |
//! | [`xml`], [`der`], [`crypto`], [`time`], [`limits`] | | what the above stand on |
//!
//! Deliberately absent: `async`, files, `now()`, global state. Nothing here allocates more than [`limits`] says.
//!
//! Provenance of what reaches the wire is said in three words: `Spec:` (document and section), `Seen:` (only in
//! X-Road's code or on its wire), `Ours:` (an extension of this project).
//!
//! `message-path §n` and `trust-and-configuration §n` are sections of two studies of X-Road 7.8's formats, to the byte and
//! with pointers into its source, which are kept beside this repository with the recordings of real servers. Where X-Road
//! publishes a document of its own, that is named: PR-REST, PR-MESS, PR-MESSTRANSP, PR-SIGDOC, PR-GCONF.

pub mod container;
pub mod continuity;
pub mod crypto;
pub mod der;
pub mod fault;
pub mod globalconf;
pub mod id;
pub mod limits;
pub mod management;
pub mod message;
pub mod signature;
pub mod time;
pub mod transport;
pub mod trust;
pub mod xml;
