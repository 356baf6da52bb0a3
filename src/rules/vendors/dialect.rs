//! Who speaks OpenAI's chat completions, and how each differs: whose stream must be asked for its usage, where the output limit
//! stands, whose tokenizer is known, whose own cost is in the answer. Reads nothing; `openai` does.

/// A vendor's way of OpenAI's shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Also whoever says nothing else.
    #[default]
    OpenAi,
    Azure,
    Xai,
    Groq,
    Mistral,
    DeepSeek,
    Perplexity,
    OpenRouter,
    Together,
    Fireworks,
}

impl Dialect {
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "openai" => Self::OpenAi,
            "azure" => Self::Azure,
            "xai" => Self::Xai,
            "groq" => Self::Groq,
            "mistral" => Self::Mistral,
            "deepseek" => Self::DeepSeek,
            "perplexity" => Self::Perplexity,
            "openrouter" => Self::OpenRouter,
            "together" => Self::Together,
            "fireworks" => Self::Fireworks,
            _ => return None,
        })
    }

    /// Does a stream tell its usage only if it is asked to? The others always do, and some refuse the question.
    pub(super) fn hides_usage(self) -> bool {
        matches!(self, Self::OpenAi | Self::Azure | Self::Xai | Self::DeepSeek)
    }

    /// Fields of the output limit; the first is the one to add.
    pub(super) fn limits(self) -> &'static [(&'static str, &'static str)] {
        const TOTAL: (&str, &str) = ("max_completion_tokens", "/max_completion_tokens");
        const PLAIN: (&str, &str) = ("max_tokens", "/max_tokens");
        match self {
            Self::OpenAi | Self::Azure | Self::Xai | Self::Groq => &[TOTAL, PLAIN],
            _ => &[PLAIN, TOTAL],
        }
    }

    /// Is a token never less than a byte, and nothing added to the prompt that the request does not show?
    pub(super) fn byte_level(self) -> bool {
        matches!(self, Self::OpenAi | Self::Azure)
    }

    /// Is reasoning told beside the completion's tokens, and not among them?
    pub(super) fn adds_reasoning(self) -> bool {
        self == Self::Xai
    }
}
