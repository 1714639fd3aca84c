/// The model that the sessions talk to, and what it leaves when nothing disturbs it.
mod boundaries;
mod model;
/// `kill -9` at chosen moments.
mod moments;
/// `kill -9` at random moments, many times.
mod random;
