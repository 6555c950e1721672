//! Owns: how a text with one record is called where it lies with others: its id is its name, without the ending that all have.
//! Must never know: where that is; what the text holds.

/// What an id begins with where the name has not the ending, or begins so itself: no two names have one id.
const AS_IT_IS: char = '=';

/// The id of the text with this name.
#[must_use]
pub fn id_of(name: &str, ending: &str) -> String {
    match name.strip_suffix(ending) {
        Some(id) if !id.is_empty() && !id.starts_with(AS_IT_IS) => id.to_owned(),
        _ => format!("{AS_IT_IS}{name}"),
    }
}

/// The name of the text with this id.
#[must_use]
pub fn name_of(id: &str, ending: &str) -> String {
    id.strip_prefix(AS_IT_IS).map_or_else(|| format!("{id}{ending}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_have_one_id() {
        #[track_caller]
        fn check(name: &str, id: &str) {
            assert_eq!(id_of(name, ".vcf"), id);
            assert_eq!(name_of(id, ".vcf"), name);
        }
        check("a.vcf", "a");
        check("a", "=a");
        check("a.vcf.vcf", "a.vcf");
        check("=a.vcf", "==a.vcf");
        check("=a", "==a");
        check(".vcf", "=.vcf");
        check("", "=");
    }
}
