//! `coffer passwd`.

use super::{Reached, reach, retrying, unlock, within};
use crate::args::Passwd;
use crate::engine;
use crate::failure::{Failure, Kind};
use crate::password;
use crate::secret::Secret;
use crate::ui::Ui;
use crate::wire::Op;
use std::path::Path;

/// Changes the password, mounted or not.
///
/// # Errors
/// `WrongPassword`, `Question`, or what the vault says. All or nothing: on any error the old one holds.
pub(super) fn passwd(ui: &Ui, vault: &Path, args: &Passwd) -> Result<(), Failure> {
    match reach(vault)? {
        Reached::Daemon(found) => {
            // Before anybody thinks up a new one.
            let ((), current) = retrying(vault, &args.password, |current| {
                found
                    .ask(Op::Verify, &[current.duplicate()], &mut |_| {})
                    .map(drop)
            })?;
            let new = new_password(args)?;
            let kdf = args.kdf.over(present_kdf(&found)?);
            found.ask(Op::Passwd { kdf }, &[current, new], &mut |_| {})?;
        }
        Reached::Sealed(sealed) => {
            let facts = sealed.facts();
            let kdf = args.kdf.over(facts.kdf).unwrap_or(facts.kdf);
            engine::check_kdf(kdf)?;
            let (open, current) = unlock(sealed, vault, &args.password)?;
            within(open, |open| {
                open.change_password(&current, &new_password(args)?, kdf)
            })?;
        }
    }
    ui.answer(&serde_json::json!({ "changed": true }), || {
        "The password is changed.".to_owned()
    });
    Ok(())
}

fn new_password(args: &Passwd) -> Result<Secret, Failure> {
    password::replacement(&args.password, args.new_password_file.as_deref())
}

fn present_kdf(found: &crate::client::Found) -> Result<crate::wire::Kdf, Failure> {
    let status: crate::answers::Status = super::understood(found.ask(Op::Status, &[], &mut |_| {})?.0)?;
    status.kdf.ok_or_else(|| {
        Failure::new(
            Kind::Failed,
            "The daemon did not say how the password is stretched.",
        )
    })
}
