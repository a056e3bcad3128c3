//! What a file of the table holds, known in memory a block of rows at a time.
//!
//! A file has hundreds of metrics and a question one or two. Its rows are sorted by metric, so that the least and the
//! greatest name of each block, from the statistics of the file's pages, say which blocks a question needs to read.

use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use tripod_model::series::{Labels, METRIC_NAME};
use tripod_storage::series::{LabelMatcher, MatchOp, MillisRange};

use super::rows::{RowHead, place};
use crate::LakeError;

/// Pages of a block. With 128 rows each, a block has two hundred series for two hours or twenty for a day: few of what
/// nobody asked for, and enough that what is kept for the block itself does not count.
const BLOCK_PAGES: usize = 2;

/// What no metric's name is before, and what none is after.
type Names = (Box<[u8]>, Box<[u8]>);

/// The rows of a file that are read together.
#[derive(Debug)]
struct Extent {
    rows: Range<usize>,
    /// Of its metrics; unknown when the file does not say.
    names: Option<Names>,
}

impl Extent {
    fn may_have(&self, wanted: &Wanted<'_>) -> bool {
        let Some((least, greatest)) = &self.names else { return true };
        match wanted {
            Wanted::All => true,
            Wanted::Named(names) => {
                names.iter().map(|name| name.as_bytes()).any(|name| **least <= *name && *name <= **greatest)
            }
            Wanted::Prefixed(prefix) => {
                let prefix = prefix.as_bytes();
                (**least <= *prefix || least.starts_with(prefix)) && *prefix <= **greatest
            }
        }
    }
}

/// The metrics that a set of matchers may mean.
enum Wanted<'a> {
    All,
    Named(Vec<&'a str>),
    Prefixed(&'a str),
}

impl<'a> Wanted<'a> {
    fn by(matchers: &'a [LabelMatcher]) -> Self {
        // What matches no name at all is in blocks whose statistics do not speak of it.
        let of_name = matchers.iter().find(|matcher| {
            matcher.name() == METRIC_NAME
                && matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex)
                && !matcher.matches_absent()
        });
        match of_name.map(|matcher| (matcher, matcher.literals())) {
            Some((_, Some(names))) => Self::Named(names),
            Some((matcher, None)) => Self::Prefixed(matcher.prefix()),
            None => Self::All,
        }
    }
}

/// Where a file has what.
#[derive(Debug)]
pub(super) struct FileIndex {
    pub(super) path: Arc<str>,
    pub(super) footer: ArrowReaderMetadata,
    extents: Vec<Extent>,
    /// Held by who reads blocks of the file: others that want the same ones find them read.
    pub(super) reading: tokio::sync::Mutex<()>,
    pub(super) bytes: usize,
}

impl FileIndex {
    /// From a footer with the statistics of pages, which are not kept.
    pub(super) fn new(
        path: &str,
        footer: &ArrowReaderMetadata,
        options: ArrowReaderOptions,
    ) -> Result<Self, LakeError> {
        let extents = extents(footer);
        let metadata = footer.metadata().as_ref().clone().into_builder().set_column_index(None).build();
        let names = extents.iter().filter_map(|extent| extent.names.as_ref());
        let bytes = metadata.memory_size()
            + size_of_val(extents.as_slice())
            + names.map(|(least, greatest)| least.len() + greatest.len()).sum::<usize>();
        let footer = ArrowReaderMetadata::try_new(Arc::new(metadata), options)?;
        Ok(Self { path: path.into(), footer, extents, reading: tokio::sync::Mutex::default(), bytes })
    }

    pub(super) fn rows(&self) -> usize {
        self.extents.last().map_or(0, |extent| extent.rows.end)
    }

    /// The rows of a block.
    pub(super) fn rows_of(&self, block: u32) -> Range<usize> {
        self.extents[block as usize].rows.clone()
    }

    /// The blocks that may have what any of the sets means, ascending; all of them when there is no set.
    pub(super) fn blocks(&self, sets: &[Vec<LabelMatcher>]) -> Vec<u32> {
        let sets: Vec<Wanted<'_>> = sets.iter().map(|set| Wanted::by(set)).collect();
        let is_wanted = |extent: &Extent| sets.is_empty() || sets.iter().any(|wanted| extent.may_have(wanted));
        (0..).zip(&self.extents).filter(|(_, extent)| is_wanted(extent)).map(|(block, _)| block).collect()
    }
}

fn extents(footer: &ArrowReaderMetadata) -> Vec<Extent> {
    let metadata = footer.metadata();
    let mut extents = Vec::new();
    let mut start = 0;
    for (group, of_group) in metadata.row_groups().iter().enumerate() {
        let end = start + usize::try_from(of_group.num_rows()).unwrap_or(0);
        let pages = metadata.offset_index().map_or(&[][..], |index| index[group][place::METRIC].page_locations());
        let names = metadata.column_index().map(|index| &index[group][place::METRIC]);
        let first_rows = pages.iter().map(|page| start + usize::try_from(page.first_row_index).unwrap_or(0));
        let blocks: Vec<(usize, usize)> = first_rows.enumerate().step_by(BLOCK_PAGES).collect();
        for (block, (page, first_row)) in blocks.iter().enumerate() {
            let (next_page, next_row) = blocks.get(block + 1).copied().unwrap_or((pages.len(), end));
            let names = names.and_then(|names| bounds(names, *page..next_page));
            extents.push(Extent { rows: *first_row..next_row, names });
        }
        if pages.is_empty() {
            extents.push(Extent { rows: start..end, names: None });
        }
        start = end;
    }
    extents
}

/// The least and the greatest name of some pages.
fn bounds(names: &ColumnIndexMetaData, pages: Range<usize>) -> Option<Names> {
    let ColumnIndexMetaData::BYTE_ARRAY(names) = names else { return None };
    let mut bounds: Option<(&[u8], &[u8])> = None;
    for page in pages.filter(|page| !names.is_null_page(*page)) {
        let (least, greatest) = (names.min_value(page)?, names.max_value(page)?);
        bounds = Some(bounds.map_or((least, greatest), |all| (all.0.min(least), all.1.max(greatest))));
    }
    // Pages without a name have nothing of any metric.
    let (least, greatest) = bounds.unwrap_or_default();
    Some((least.into(), greatest.into()))
}

/// A series of a block; it may go on in the next block.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) labels: Labels,
    /// The series' rows among those of the block.
    pub(super) rows: Range<u32>,
}

/// What the rows of a block are about.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// In the order of the file: by metric, then by the other labels.
    pub(super) entries: Vec<Entry>,
    /// One for each row.
    pub(super) heads: Vec<RowHead>,
    pub(super) bytes: usize,
}

impl Block {
    pub(super) fn heads_of(&self, entry: &Entry) -> &[RowHead] {
        &self.heads[entry.rows.start as usize..entry.rows.end as usize]
    }

    /// The entries for which all matchers of any set hold and that have rows in the range, ascending; all that have rows
    /// there when there is no set.
    pub(super) fn select(&self, sets: &[Vec<LabelMatcher>], range: MillisRange) -> Vec<u32> {
        let is_meant = |entry: &Entry| {
            let holds = |set: &Vec<LabelMatcher>| set.iter().all(|matcher| matcher.matches_labels(&entry.labels));
            (sets.is_empty() || sets.iter().any(holds))
                && self.heads_of(entry).iter().any(|head| range.overlaps(head.first, head.last))
        };
        (0..).zip(&self.entries).filter(|(_, entry)| is_meant(entry)).map(|(place, _)| place).collect()
    }
}
