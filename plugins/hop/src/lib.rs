//! Carries messages from host to host, acknowledged end to end.
