/// What the model gets to see, turn by turn.
mod conversation;
/// Tokens, prices and budgets.
mod cost;
/// Where the user's key goes, and where it does not.
mod key;
/// A service that fails again and again.
mod storm;
