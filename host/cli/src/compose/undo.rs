//! Taking the newest turn of an open session back, with what it did to files.

use super::Workbench;
use crate::adapters::originals::restore;
use ml_intern_agent::Event;
use ml_intern_agent::ports::JournalError;
use ml_intern_agent::session::Session;
use std::path::Path;

/// Takes the newest turn back; says so where there is none.
pub(crate) async fn newest(bench: &Workbench, workspace: &Path) -> Result<(), JournalError> {
    take_back(&bench.agent.session, &bench.folder, workspace)
        .await
        .map(drop)
}

/// The number of the turn that was taken back, if there is one.
pub(crate) async fn take_back(
    session: &Session,
    session_folder: &Path,
    workspace: &Path,
) -> Result<Option<u32>, JournalError> {
    let newest = session.read(|state| {
        let (turn, changes) = state.turns.newest()?;
        Some((turn, changes.to_vec()))
    });
    let Some((turn, changes)) = newest else {
        let text = "there is no turn to take back".to_owned();
        let code = "nothing_to_undo".into();
        session.record(Event::Notice { code, text })?;
        return Ok(None);
    };
    let (restored, kept) = restore(session_folder, workspace, &changes);
    let undone = Event::TurnUndone {
        turn,
        restored,
        kept,
    };
    session.record_durably(undone).await?;
    Ok(Some(turn))
}
