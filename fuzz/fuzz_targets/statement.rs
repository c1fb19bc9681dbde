//! Statements that officers hand in: whatever is taken is of the one form that is printed.
#![no_main]

use bundle::directive::Directive;
use bundle::statement::Statement;
use gaprelay::settle::repair;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(statement) = Statement::parse(data) {
        assert_eq!(statement.to_string().as_bytes(), data);
    }
    if let Ok(directive) = Directive::parse(data) {
        assert!(Directive::is_one(data));
        assert_eq!(directive.to_string().as_bytes(), data);
    }
    if let Ok(statement) = repair::RepairStatement::parse(data) {
        assert_eq!(statement.to_string().as_bytes(), data);
    }
});
