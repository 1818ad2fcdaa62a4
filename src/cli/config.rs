//! `bankwatch config`: check, show and import settings.
