//! Keys: the password's way to the master key, the keys it wraps, and sealing.
