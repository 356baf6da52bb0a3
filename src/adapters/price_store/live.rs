//! The book that is in force: loaded at start, and again when one of its files has changed. A book that is broken keeps the
//! last one in force and says why. Knows the files by `price_store`; tells nobody itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::PriceFiles;
use crate::rules::price::PriceBook;

/// Each file's time and size, by which a change is seen; nothing for one that is not there.
type Stamps = Vec<Option<(Option<SystemTime>, u64)>>;

/// The price book as it is now.
pub struct Prices {
    files: PriceFiles,
    current: ArcSwap<PriceBook>,
    /// The files as they were at the last load, sound or not.
    seen: Mutex<Stamps>,
}

impl Prices {
    /// Loads the book, and keeps it for later.
    ///
    /// # Errors
    /// Every mistake of its files in one text.
    pub fn open(files: PriceFiles) -> Result<Self, String> {
        let seen = Mutex::new(stamps(&files));
        let current = ArcSwap::from_pointee(files.load_and_keep()?);
        Ok(Self { files, current, seen })
    }

    /// The book to price by. A call keeps the one that it began with.
    pub fn current(&self) -> Arc<PriceBook> {
        self.current.load_full()
    }

    /// The operator's own file, if there is one.
    pub fn overrides(&self) -> Option<String> {
        self.files.overrides.as_ref().map(|path| path.display().to_string())
    }

    /// Loads the files as they are now: the new book, if it is another one.
    fn reload(&self) -> Result<Option<Arc<PriceBook>>, String> {
        *self.seen.lock() = stamps(&self.files);
        let book = Arc::new(self.files.load_and_keep()?);
        if book.hash() == self.current.load().hash() {
            return Ok(None);
        }
        self.current.store(book.clone());
        Ok(Some(book))
    }

    /// Looks at the files for as long as it is polled. A change is loaded when it has stood still for one look, so that
    /// a file is not read while it is written. `told` hears of each new book, and of each that is broken, once.
    pub async fn watch(self: Arc<Self>, every: Duration, told: impl Fn(&Result<Arc<PriceBook>, String>)) {
        let mut before = None;
        loop {
            tokio::time::sleep(every).await;
            let prices = self.clone();
            let look = move || {
                let now = stamps(&prices.files);
                let settled = before.as_ref() == Some(&now);
                let changed = settled && *prices.seen.lock() != now;
                (Some(now), if changed { prices.reload().transpose() } else { None })
            };
            // It fails only if the runtime ends.
            let Ok((now, loaded)) = tokio::task::spawn_blocking(look).await else { return };
            before = now;
            loaded.iter().for_each(&told);
        }
    }
}

fn stamps(files: &PriceFiles) -> Stamps {
    let stamp = |path| std::fs::metadata(path).ok().map(|meta| (meta.modified().ok(), meta.len()));
    files.watched().iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_book_keeps_the_old_one_and_a_mended_one_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let own = dir.path().join("own.toml");
        let write = |text: &str| std::fs::write(&own, text).expect("written");
        let model = |input: &str| {
            format!(
                "[[model]]\nvendor = \"openai\"\nnames = [\"m\"]\n[[model.price]]\nrates = [{{ input = \"{input}\" }}]\n"
            )
        };
        write(&model("1"));
        let prices = Prices::open(PriceFiles::new(dir.path(), Some(&own))).expect("sound");
        let first = prices.current().hash();
        assert_eq!(prices.reload().map(|new| new.is_some()), Ok(false), "nothing has changed");
        write("[[model]]\nvendor = 7\n");
        assert!(prices.reload().is_err_and(|why| why.contains("own.toml")));
        assert_eq!(prices.current().hash(), first);
        write(&model("2"));
        let second = prices.reload().expect("sound").expect("another book").hash();
        assert!(second != first && prices.current().hash() == second);
    }
}
