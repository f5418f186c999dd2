//! Finds the fenced blocks of a document.

/// One fenced block.
pub struct Block {
    /// The first word of the fence.
    pub language: String,
    /// The other words, `key=value` or a word alone.
    pub words: Vec<(String, String)>,
    /// What is between the fences.
    pub text: String,
    /// Where its opening fence is, from 1.
    pub line: usize,
}

impl Block {
    /// The value of a word; empty for a word alone.
    pub fn word(&self, key: &str) -> Option<&str> {
        self.words.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Splits a document into its blocks and the prose around them (blocks blanked out, lines kept).
pub fn split(text: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    let mut open: Option<(Block, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match open.take() {
            Some((block, fence)) if line.trim_end() == fence => blocks.push(block),
            Some((mut block, fence)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some((block, fence));
            }
            None if line.starts_with("```") => {
                let fence: String = line.chars().take_while(|char| *char == '`').collect();
                let mut words = line[fence.len()..].split_whitespace();
                let language = words.next().unwrap_or_default().to_owned();
                let pair = |word: &str| match word.split_once('=') {
                    Some((key, value)) => (key.to_owned(), value.to_owned()),
                    None => (word.to_owned(), String::new()),
                };
                let words = words.map(pair).collect();
                open = Some((Block { language, words, text: String::new(), line: index + 1 }, fence));
            }
            None => {
                assert!(!line.trim_start().starts_with("```"), "line {}: an indented fence", index + 1);
                prose.push_str(line);
            }
        }
        prose.push('\n');
    }
    assert!(open.is_none(), "a fence is not closed");
    (blocks, prose)
}
