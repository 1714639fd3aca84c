//! Advice on training scripts: a job's disk is gone when the job ends.

use std::fmt::Write as _;

/// Trainer configurations that can push what they trained to the Hub.
const CONFIGURATIONS: [&str; 4] = ["TrainingArguments", "SFTConfig", "DPOConfig", "GRPOConfig"];

/// Appends warnings about a `.py` file's new text to an answer.
pub(crate) fn warn(name: &str, text: &str, answer: &mut String) {
    if !name.ends_with(".py") || !CONFIGURATIONS.iter().any(|word| text.contains(word)) {
        return;
    }
    if !text.contains("push_to_hub") {
        answer.push_str("\nwarning: no `push_to_hub`; a model trained in a remote job is lost when the job ends");
    }
    if !text.contains("hub_model_id") {
        write!(
            answer,
            "\nwarning: no `hub_model_id`; say where on the Hub the model goes"
        )
        .expect("writing to a string");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(name: &str, text: &str) -> usize {
        let mut answer = String::new();
        warn(name, text, &mut answer);
        answer.matches("warning:").count()
    }

    #[test]
    fn only_trainers_in_python_files_are_looked_at() {
        assert_eq!(warnings("t.py", "SFTConfig()"), 2);
        assert_eq!(warnings("t.py", "SFTConfig(push_to_hub=True)"), 1);
        assert_eq!(
            warnings("t.py", "DPOConfig(push_to_hub=True, hub_model_id='a/b')"),
            0
        );
        assert_eq!(warnings("t.py", "print(1)"), 0);
        assert_eq!(warnings("t.md", "SFTConfig()"), 0);
    }
}
