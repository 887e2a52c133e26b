ALTER TABLE "sessions" DROP CONSTRAINT "sessions_impersonator_id_users_id_fk";
--> statement-breakpoint
ALTER TABLE "audit_queue" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "audit_seals" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "api_keys" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "login_throttles" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "mail_outbox" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "mail_tokens" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "recovery_codes" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "invitations" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "roles" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
DROP TABLE "audit_queue" CASCADE;
--> statement-breakpoint
DROP TABLE "audit_seals" CASCADE;
--> statement-breakpoint
DROP TABLE "api_keys" CASCADE;
--> statement-breakpoint
DROP TABLE "login_throttles" CASCADE;
--> statement-breakpoint
DROP TABLE "mail_outbox" CASCADE;
--> statement-breakpoint
DROP TABLE "mail_tokens" CASCADE;
--> statement-breakpoint
DROP TABLE "recovery_codes" CASCADE;
--> statement-breakpoint
DROP TABLE "invitations" CASCADE;
--> statement-breakpoint
DROP TABLE "roles" CASCADE;
--> statement-breakpoint
DROP INDEX "sessions_ends";
--> statement-breakpoint
DROP INDEX "members_created";
--> statement-breakpoint
DROP INDEX "idempotency_keys_created";
--> statement-breakpoint
DROP INDEX "sessions_user_id";
--> statement-breakpoint
CREATE INDEX "idempotency_keys_created" ON "idempotency_keys" USING btree ("created_at");
--> statement-breakpoint
CREATE INDEX "sessions_user_id" ON "sessions" USING btree ("user_id");
--> statement-breakpoint
ALTER TABLE "audit_events" DROP COLUMN "impersonator_id";
--> statement-breakpoint
ALTER TABLE "audit_events" DROP COLUMN "api_key_id";
--> statement-breakpoint
ALTER TABLE "idempotency_keys" DROP COLUMN "made";
--> statement-breakpoint
ALTER TABLE "sessions" DROP COLUMN "device";
--> statement-breakpoint
ALTER TABLE "sessions" DROP COLUMN "mfa";
--> statement-breakpoint
ALTER TABLE "sessions" DROP COLUMN "impersonator_id";
--> statement-breakpoint
ALTER TABLE "sessions" DROP COLUMN "ends_at";
--> statement-breakpoint
ALTER TABLE "sessions" DROP COLUMN "stepped_up_at";
--> statement-breakpoint
ALTER TABLE "members" DROP COLUMN "is_active";
--> statement-breakpoint
ALTER TABLE "members" DROP COLUMN "managed";
--> statement-breakpoint
ALTER TABLE "organizations" DROP COLUMN "deleted_at";
--> statement-breakpoint
ALTER TABLE "users" DROP COLUMN "totp_secret";
--> statement-breakpoint
ALTER TABLE "users" DROP COLUMN "totp_confirmed_at";
--> statement-breakpoint
ALTER TABLE "users" DROP COLUMN "totp_last_step";
