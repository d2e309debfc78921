//! The event recorder with its aggregation and spam filter (client-go/tools/record).
