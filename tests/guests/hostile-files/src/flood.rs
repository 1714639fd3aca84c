//! More than a disk should hold, by the standard library as any plugin would.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use ml_intern_plugin::{Error, Output};

use crate::{Told, done};

fn place(told: &Told) -> PathBuf {
    Path::new("/workspace").join(&told.path)
}

pub(crate) fn fill(told: Told) -> Result<Output, Error> {
    let mut file = fs::File::create(place(&told))?;
    for _ in 0..told.amount {
        file.write_all(&[b'x'; 1024])?;
    }
    done()
}

pub(crate) fn write_far(told: Told) -> Result<Output, Error> {
    let mut file = fs::File::create(place(&told))?;
    file.seek(SeekFrom::Start(told.amount))?;
    file.write_all(b"x")?;
    done()
}

pub(crate) fn many(told: Told) -> Result<Output, Error> {
    for number in 0..told.amount {
        fs::File::create(place(&told).join(format!("{}{number}", told.other)))?;
    }
    done()
}
