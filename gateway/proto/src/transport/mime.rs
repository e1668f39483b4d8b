//! Multipart, read in pieces of any size.
