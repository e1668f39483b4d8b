//! The one byte form of an XML element. To come.
