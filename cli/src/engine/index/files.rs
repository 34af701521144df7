//! What is told of files: what is known of them, their texts, by what their bytes are told from others, and whose they are.

use std::collections::HashMap;
use std::io;

use coffer_index::parse::READ_MAX;
use coffer_index::said::{self, Tell, Text};
use coffer_store::StoreError;
use coffer_store::ids::{ChainId, Ino};
use coffer_store::members::Standing;
use coffer_store::tree::Kind;
use coffer_store::vault::{Conflict, Facts, OpError};

use super::feed::{FILES, Feeder, moment};
use super::hashes::stamp;

/// Bytes of texts that are told together.
const BYTES: usize = 4 << 20;
/// Of a longer file it takes time to say what its bytes are told from others by: that is told later.
const SMALL: u64 = 32 << 10;

fn is_gone(error: &OpError) -> bool {
    matches!(error.errno(), libc::ENOENT | libc::ESTALE)
}

impl Feeder {
    pub(super) fn tell_files(&mut self, files: &[(Ino, bool)]) -> io::Result<()> {
        for some in files.chunks(FILES) {
            let wants: HashMap<Ino, bool> = some.iter().copied().collect();
            let inos: Vec<Ino> = some.iter().map(|(ino, _)| *ino).collect();
            let (mut known, mut gone, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
            self.vault.facts_of(&inos, &mut |ino, facts| {
                match facts {
                    Ok(facts) => known.push(facts),
                    Err(error) if is_gone(&error) => gone.push(ino),
                    Err(_) => damaged.push(ino),
                }
                true
            });
            let (mut told, mut bytes) = (Vec::new(), 0);
            for facts in known.into_iter().filter(|facts| facts.kind != Kind::Folder) {
                let wants = wants.get(&facts.ino).copied().unwrap_or_default();
                let file = self.file(&facts, wants && self.readable.contains(&facts.ino));
                if let Text::Bytes(text) = &file.text {
                    bytes += text.len();
                }
                told.push(file);
                if bytes > BYTES {
                    self.client.tell(&Tell::Files(std::mem::take(&mut told)))?;
                    bytes = 0;
                }
            }
            for ino in damaged {
                told.push(said::File {
                    facts: said::Facts {
                        file: ino,
                        ..said::Facts::default()
                    },
                    text: Text::Failed(
                        "What is known of the file could not be read; “coffer check” says more.".into(),
                    ),
                });
            }
            if !told.is_empty() {
                self.client.tell(&Tell::Files(told))?;
            }
            if !gone.is_empty() {
                self.client.tell(&Tell::Gone(gone))?;
            }
        }
        Ok(())
    }

    fn file(&mut self, facts: &Facts, with_text: bool) -> said::File {
        let is_file = facts.kind == Kind::File;
        let text = match (with_text, is_file) {
            (true, true) => self.text(facts),
            (true, false) => Text::Absent,
            // What is not here any more is not kept in the index either.
            (false, true) if !facts.here => Text::Absent,
            (false, _) => Text::Unread,
        };
        let content = is_file.then(|| self.content(facts, &text)).flatten();
        let is_copy = self.copied.contains_key(&facts.ino);
        match facts.here {
            true => self.absent.remove(&facts.ino),
            false => self.absent.insert(facts.ino),
        };
        let device = self.device(&facts.device);
        match device.is_empty() {
            true => self.deviceless.insert(facts.ino),
            false => self.deviceless.remove(&facts.ino),
        };
        said::File {
            facts: said::Facts {
                file: facts.ino,
                id: facts.entity.0,
                size: facts.size,
                created: moment(facts.created),
                modified: moment(facts.modified),
                recorded: facts.recorded.map(moment),
                versions: facts.versions,
                device,
                content,
                conflict: match (facts.conflict, is_copy) {
                    (Some(Conflict::Beside(n)), _) => Some(format!("{n} other versions stand beside it")),
                    (_, true) => Some("a copy that stands beside another file".into()),
                    // A merge that is shown is none: nothing has to be done.
                    _ => None,
                },
                here: facts.here,
            },
            text,
        }
    }

    /// What a file's bytes are told from others by, as far as it is known at once. What goes on changing, or is elsewhere,
    /// has nothing: whatever was known of it while it was here, as if it had never been.
    fn content(&mut self, facts: &Facts, text: &Text) -> Option<[u8; 16]> {
        if !facts.here {
            self.contents.remove(&facts.ino);
            return None;
        }
        let stamp = stamp(facts);
        if let Some((known, content)) = self.contents.get(&facts.ino)
            && *known == stamp
        {
            return *content;
        }
        if facts.size > SMALL {
            self.hashes.push(facts.ino);
            return None;
        }
        let content = match text {
            // Bytes that were read anyway are not read again for it.
            Text::Bytes(bytes) => self.vault.content_of(bytes),
            _ => self.vault.content(facts.ino).ok().flatten(),
        };
        let content = content.and_then(|hash| hash.0[..16].try_into().ok());
        self.contents.insert(facts.ino, (stamp, content));
        content
    }

    fn text(&self, facts: &Facts) -> Text {
        if facts.size > READ_MAX as u64 {
            return Text::TooLong;
        }
        match self.vault.text(facts.ino, READ_MAX) {
            Ok(bytes) => Text::Bytes(bytes),
            Err(OpError::Store(StoreError::Absent(_))) => Text::Absent,
            Err(error) if error.errno() == libc::EFBIG => Text::TooLong,
            Err(error) if is_gone(&error) => Text::Absent,
            Err(_) => Text::Failed("The file's bytes could not be read; “coffer check” says more.".into()),
        }
    }

    /// The device that told a chain, by its id.
    pub(super) fn device(&mut self, chain: &ChainId) -> Vec<u8> {
        if let Some(known) = self.devices.get(chain) {
            return known.clone();
        }
        let signer = self.vault.who_signs(chain).map(|signer| signer.device);
        let own = || self.vault.device_named(chain).map(|_| self.vault.device_id());
        let Some(device) = signer.or_else(own) else {
            return Vec::new();
        };
        let id = device.0.to_vec();
        self.devices.insert(*chain, id.clone());
        id
    }

    /// Tells the devices, if they are others.
    pub(super) fn members(&mut self) -> io::Result<()> {
        let me = self.vault.device_id();
        let devices: Vec<said::Device> = self.vault.with_members(|members| {
            let devices = members.state().devices();
            let each = devices.iter().map(|device| said::Device {
                id: device.id.0.to_vec(),
                name: device.name.to_string(),
                is_this: device.id == me,
                is_member: matches!(device.standing, Standing::Member),
            });
            each.collect()
        });
        if devices != self.told_devices {
            self.client.tell(&Tell::Devices(devices.clone()))?;
            self.told = true;
            // Who made them may be known by now.
            for ino in self.deviceless.drain() {
                self.dirty.entry(ino).or_default();
            }
            self.told_devices = devices;
        }
        Ok(())
    }
}
