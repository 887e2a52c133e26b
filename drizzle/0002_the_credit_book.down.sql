ALTER TABLE "portfolios" DROP CONSTRAINT "portfolios_rating_scale";
--> statement-breakpoint
ALTER TABLE "stress_runs" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "stress_scenarios" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "watch_list_entries" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "watch_lists" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "loan_versions" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "rating_scales" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "import_mappings" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "default_rates" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "rating_history" DISABLE ROW LEVEL SECURITY;
--> statement-breakpoint
DROP TABLE "stress_runs" CASCADE;
--> statement-breakpoint
DROP TABLE "stress_scenarios" CASCADE;
--> statement-breakpoint
DROP TABLE "watch_list_entries" CASCADE;
--> statement-breakpoint
DROP TABLE "watch_lists" CASCADE;
--> statement-breakpoint
DROP TABLE "loan_versions" CASCADE;
--> statement-breakpoint
DROP TABLE "rating_scales" CASCADE;
--> statement-breakpoint
DROP TABLE "import_mappings" CASCADE;
--> statement-breakpoint
DROP TABLE "default_rates" CASCADE;
--> statement-breakpoint
DROP TABLE "rating_history" CASCADE;
--> statement-breakpoint
ALTER TABLE "imports" DROP COLUMN "as_of";
--> statement-breakpoint
ALTER TABLE "imports" DROP COLUMN "previous_as_of";
--> statement-breakpoint
ALTER TABLE "imports" DROP COLUMN "mapping_id";
--> statement-breakpoint
ALTER TABLE "imports" DROP COLUMN "encoding";
--> statement-breakpoint
ALTER TABLE "imports" DROP COLUMN "delimiter";
--> statement-breakpoint
ALTER TABLE "imports" DROP COLUMN "snapshots";
--> statement-breakpoint
ALTER TABLE "imports" DROP COLUMN "cancel_requested_at";
--> statement-breakpoint
ALTER TABLE "imports" DROP COLUMN "rolled_back_at";
