//! Seeded runs of two to four devices and copies of one folder: they edit and exchange in any order, folders are copied over each other, files
//! are lost, torn, altered, doubled, put back from another day, and exchanges are cut off. Once that ends, all come to one state.

mod carrier_bed;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use carrier_bed::model::Dice;
use carrier_bed::{Device, Pulled, carries, copy_dir, files, noise, settle};
use coffer_sync::carrier::{CarrierError, Place, Shelf};
use tempfile::TempDir;

const NOTES: [&str; 2] = ["garden.md", "shop.md"];

struct World {
    dice: Dice,
    devices: Vec<Device>,
    dirs: Vec<TempDir>,
    /// What the folders were before.
    old: Vec<TempDir>,
    /// Words that were written.
    words: Vec<String>,
    harmed: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let count = 2 + dice.below(3) as usize;
        let first = Device::founded();
        let mut devices = vec![first];
        for n in 1..count {
            let by = dice.below(n as u64) as usize;
            // One that was not met by those that are there: they hear of it by the folder.
            let next = devices[by].with(&format!("device {n}"));
            devices.push(next);
        }
        World {
            dice,
            devices,
            dirs: (0..2).map(|_| TempDir::new().unwrap()).collect(),
            old: Vec::new(),
            words: Vec::new(),
            harmed: false,
        }
    }

    fn edit(&mut self) {
        let n = self.dice.below(self.devices.len() as u64) as usize;
        let device = &self.devices[n];
        if self.dice.one_in(4) {
            let name = format!("blob-{n}-{}", self.words.len());
            device.save(&name, &noise(self.words.len() as u32 + 1, 50_000 + 300_000 * n));
            return;
        }
        let name = NOTES[self.dice.below(2) as usize];
        let word = format!("w{n}x{}", self.words.len());
        let text = device.text(name);
        let text = if text.is_empty() {
            "one\n\ntwo\n\nthree\n".into()
        } else {
            text
        };
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = self.dice.below(lines.len() as u64) as usize;
        lines[at] = format!("{} {word}", lines[at]);
        device.save(name, (lines.join("\n") + "\n").as_bytes());
        self.words.push(word);
    }

    fn exchange(&mut self) {
        let device = &self.devices[self.dice.below(self.devices.len() as u64) as usize];
        let dir = self.dirs[self.dice.below(2) as usize].path();
        if !self.dice.one_in(3) {
            device.via(dir);
            return;
        }
        let shelf = Shelf::of(dir, carries(device), Place::Make).unwrap();
        let pulled = Pulled {
            folder: &shelf,
            calls: Rc::new(Cell::new(self.dice.below(60))),
            errno: [5, 28][self.dice.below(2) as usize],
        };
        match device.at(&pulled, None) {
            Ok(_) | Err(CarrierError::Io { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn harm(&mut self) {
        let dir = self.dirs[self.dice.below(2) as usize].path().to_owned();
        let all = files(&dir);
        self.harmed = true;
        if all.is_empty() {
            return;
        }
        let file = all[self.dice.below(all.len() as u64) as usize].clone();
        let len = fs::metadata(&file).unwrap().len();
        match self.dice.below(6) {
            0 => fs::remove_file(&file).unwrap(),
            1 => {
                let open = fs::File::options().write(true).open(&file).unwrap();
                open.set_len(self.dice.below(len + 1)).unwrap();
            }
            2 => fs::write(&file, noise(len as u32, len as usize)).unwrap(),
            3 if len > 0 => {
                let mut bytes = fs::read(&file).unwrap();
                let at = self.dice.below(len) as usize;
                bytes[at] ^= 0x40;
                fs::write(&file, bytes).unwrap();
            }
            4 => {
                let folder = file.parent().unwrap();
                fs::copy(&file, folder.join("somebody's conflicted copy")).unwrap();
                // Under a name that could be ours.
                fs::copy(&file, folder.join("0123456789abcdef0123456789abcdef")).unwrap();
            }
            _ => {
                let other = &all[self.dice.below(all.len() as u64) as usize];
                if *other != file {
                    fs::copy(other, &file).unwrap();
                }
            }
        }
    }

    /// Folders are copied: one over the other, or one back as it was.
    fn carry(&mut self) {
        let n = self.dice.below(2) as usize;
        match self.dice.below(4) {
            0 => {
                let old = TempDir::new().unwrap();
                copy_dir(self.dirs[n].path(), old.path());
                self.old.push(old);
            }
            1 if !self.old.is_empty() => {
                let old = &self.old[self.dice.below(self.old.len() as u64) as usize];
                copy_dir(old.path(), self.dirs[n].path());
            }
            2 => copy_dir(self.dirs[n].path(), self.dirs[1 - n].path()),
            _ => {
                empty(self.dirs[n].path());
                copy_dir(self.dirs[1 - n].path(), self.dirs[n].path());
            }
        }
    }
}

fn empty(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        fs::remove_dir_all(entry.path()).unwrap();
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..40 {
        match world.dice.below(10) {
            0..3 => world.edit(),
            3..7 => world.exchange(),
            7 => world.carry(),
            _ => world.harm(),
        }
    }
    world.edit();
    let (dir, all): (PathBuf, Vec<&Device>) =
        (world.dirs[0].path().to_owned(), world.devices.iter().collect());
    println!("seed {seed}: {} devices, {} words", all.len(), world.words.len());
    settle(&all, &dir);
    let shown = all[0].files();
    for device in &all {
        assert_eq!(
            device.files().keys().collect::<Vec<_>>(),
            shown.keys().collect::<Vec<_>>(),
            "seed {seed}"
        );
        assert!(device.files() == shown, "seed {seed}: files are not the same");
        device.is_sound();
    }
    let text: Vec<u8> = shown.into_values().flatten().collect();
    for word in &world.words {
        let found = text.windows(word.len()).any(|part| part == word.as_bytes());
        assert!(found, "seed {seed}: {word} is lost");
    }
}

/// Guards convergence: nothing that anybody wrote is lost, and nothing panics, whatever becomes of the folders.
#[test]
fn whatever_becomes_of_the_folders_all_come_to_one() {
    for seed in 0..24 {
        run(seed);
    }
}
