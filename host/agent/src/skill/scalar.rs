//! A YAML scalar: the text beside a key and in the lines below it.

/// How many lines below the first, and what is wrong there.
type Problem = (usize, String);

/// The text that `lines` stand for; the first line is what follows the key's colon.
pub(super) fn read(lines: &[&str]) -> Result<String, Problem> {
    let silent = |line: &&&str| line.trim().is_empty() || line.trim().starts_with('#');
    let skipped = lines.iter().take_while(silent).count();
    let lines = &lines[skipped..];
    let first = lines.first().map_or("", |line| line.trim());
    let text = match first.chars().next() {
        None => Ok(String::new()),
        Some('|' | '>') if skipped == 0 => block(first, &lines[1..]),
        Some('"' | '\'') => quoted(lines),
        Some(start) if "&*!|>[]{}%@`,".contains(start) => Err((
            0,
            format!("a text that begins with `{start}` is not understood; put it in quotes"),
        )),
        Some(_) => plain(lines),
    };
    text.map_err(|(offset, problem)| (skipped + offset, problem))
}

/// A text without quotes, which may go on in indented lines.
fn plain(lines: &[&str]) -> Result<String, Problem> {
    let mut kept = Vec::new();
    let mut ended = false;
    for (offset, line) in lines.iter().enumerate() {
        let line = line.trim();
        let text = match line.starts_with('#') {
            true => "",
            false => line.split(" #").next().unwrap_or(line).trim_end(),
        };
        let problem = match text {
            "" => None,
            _ if ended => Some("a text does not go on after a comment; put it in quotes"),
            _ if text.contains(": ") || text.ends_with(':') => {
                Some("`: ` within a text is a new key in YAML; put the text in quotes")
            }
            _ if matches!(text, "-" | "?") || text.starts_with("- ") || text.starts_with("? ") => {
                Some("a text is expected here, not a list; put it in quotes")
            }
            _ => None,
        };
        if let Some(problem) = problem {
            return Err((offset, problem.to_owned()));
        }
        ended |= text.len() < line.len();
        kept.push(text);
    }
    let text = fold(&kept);
    Ok(match text.as_str() {
        "~" | "null" => String::new(),
        _ => text,
    })
}

/// A text in quotes, which may go on in further lines.
fn quoted(lines: &[&str]) -> Result<String, Problem> {
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    let joined = fold(&lines);
    let mut characters = joined.chars();
    let quote = characters.next().unwrap_or('"');
    let joins = |line: &&str| line.ends_with('\\') && !line.ends_with("\\\\");
    if quote == '"'
        && let Some(offset) = lines.iter().position(joins)
    {
        let problem = "a `\\` at the end of a line is not understood; leave it out";
        return Err((offset, problem.to_owned()));
    }
    let mut text = String::new();
    loop {
        let open = || (0, format!("no {quote} ends the text"));
        match characters.next().ok_or_else(open)? {
            '\'' if quote == '\'' && characters.as_str().starts_with('\'') => {
                characters.next();
                text.push('\'');
            }
            end if end == quote => break,
            '\\' if quote == '"' => text.push(escaped(&mut characters)?),
            other => text.push(other),
        }
    }
    let rest = characters.as_str().trim();
    if rest.is_empty() || rest.starts_with('#') {
        return Ok(text);
    }
    let twice = if quote == '"' { "\\\"" } else { "''" };
    Err((
        0,
        format!(
            "nothing is expected after the closing {quote}; a quote within the text is written {twice}"
        ),
    ))
}

/// What an escape in double quotes stands for.
fn escaped(characters: &mut std::str::Chars<'_>) -> Result<char, Problem> {
    let letter = characters.next();
    let digits = match letter {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        Some('n') => return Ok('\n'),
        Some('t') => return Ok('\t'),
        Some('r') => return Ok('\r'),
        Some(same @ ('"' | '\\' | '/' | ' ')) => return Ok(same),
        _ => {
            let letter = letter.map(String::from).unwrap_or_default();
            return Err((0, format!("the escape `\\{letter}` is not understood")));
        }
    };
    let code: String = characters.take(digits).collect();
    let number = u32::from_str_radix(&code, 16).ok();
    number
        .filter(|_| code.len() == digits && !code.starts_with('+'))
        .and_then(char::from_u32)
        .ok_or_else(|| (0, format!("`{code}` is not the code of a character")))
}

/// A literal (`|`) or folded (`>`) text in the indented lines below.
fn block(header: &str, lines: &[&str]) -> Result<String, Problem> {
    let marks = header.split(" #").next().unwrap_or(header).trim_end();
    let literal = marks.starts_with('|');
    if !matches!(&marks[1..], "" | "-" | "+") {
        let problem = format!("`{marks}` is not understood; `|`, `|-`, `>` and `>-` are");
        return Err((0, problem));
    }
    let indented = |line: &&&str| !line.trim().is_empty();
    let indent = lines.iter().find(indented).map_or(0, |line| blanks(line));
    let mut kept = Vec::new();
    let mut ended = false;
    for (offset, line) in lines.iter().enumerate() {
        if line.trim().is_empty() {
            kept.push("");
            continue;
        }
        if ended || indent == 0 || blanks(line) < indent {
            // A comment further to the left ends the text.
            if line.trim_start().starts_with('#') {
                ended = true;
                continue;
            }
            let problem = "the lines of the text are not indented alike, with blanks";
            return Err((offset + 1, problem.to_owned()));
        }
        kept.push(&line[indent..]);
    }
    let text = match literal {
        true => kept.join("\n"),
        false => fold_block(&kept),
    };
    Ok(text.trim_end_matches('\n').to_owned())
}

fn blanks(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Joins lines by blanks; empty lines stay as line ends.
fn fold(lines: &[&str]) -> String {
    let mut text = String::new();
    let mut ends = 0;
    for line in lines {
        if line.is_empty() {
            ends += 1;
            continue;
        }
        match ends {
            _ if text.is_empty() => {}
            0 => text.push(' '),
            ends => text.push_str(&"\n".repeat(ends)),
        }
        text.push_str(line);
        ends = 0;
    }
    text
}

/// Joins lines by blanks, but for those that are indented further, which keep their ends.
fn fold_block(lines: &[&str]) -> String {
    let deeper = |line: &str| line.starts_with([' ', '\t']);
    let mut text = String::new();
    let mut last: Option<&str> = None;
    let mut ends = 0;
    for line in lines {
        if line.is_empty() {
            ends += 1;
            continue;
        }
        match last {
            None => text.push_str(&"\n".repeat(ends)),
            Some(before) if deeper(before) || deeper(line) => {
                text.push_str(&"\n".repeat(ends + 1));
            }
            Some(_) if ends == 0 => text.push(' '),
            Some(_) => text.push_str(&"\n".repeat(ends)),
        }
        text.push_str(line);
        last = Some(line);
        ends = 0;
    }
    text
}
