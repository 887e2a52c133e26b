DROP TABLE "audit_events" CASCADE;
--> statement-breakpoint
DROP TABLE "loans" CASCADE;
--> statement-breakpoint
DROP TABLE "portfolios" CASCADE;
--> statement-breakpoint
DROP TABLE "idempotency_keys" CASCADE;
--> statement-breakpoint
DROP TABLE "refresh_tokens" CASCADE;
--> statement-breakpoint
DROP TABLE "sessions" CASCADE;
--> statement-breakpoint
DROP TABLE "import_rejects" CASCADE;
--> statement-breakpoint
DROP TABLE "imports" CASCADE;
--> statement-breakpoint
DROP TABLE "members" CASCADE;
--> statement-breakpoint
DROP TABLE "organizations" CASCADE;
--> statement-breakpoint
DROP TABLE "users" CASCADE;
