"""Where results come from: the manifest, its verification, the RO-Crate."""
