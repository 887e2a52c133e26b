CREATE TABLE "stress_runs" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"portfolio_id" uuid NOT NULL,
	"scenario_id" uuid,
	"name" text NOT NULL,
	"shocks" jsonb NOT NULL,
	"as_of" date,
	"known_at" timestamp(3) with time zone,
	"filter" jsonb NOT NULL,
	"result" jsonb NOT NULL,
	"loan_count" integer NOT NULL,
	"formula_version" integer NOT NULL,
	"created_by" uuid,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "stress_runs_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "stress_scenarios" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"name" text NOT NULL,
	"description" text,
	"shocks" jsonb NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "stress_scenarios_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "watch_list_entries" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"watch_list_id" uuid NOT NULL,
	"loan_id" uuid NOT NULL,
	"reason" text,
	"added_by" uuid,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "watch_list_entries_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "watch_lists" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"name" text NOT NULL,
	"description" text,
	"criteria" jsonb,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "watch_lists_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "loan_versions" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"loan_id" uuid NOT NULL,
	"portfolio_id" uuid NOT NULL,
	"as_of" date,
	"loan_number" text NOT NULL,
	"borrower_name" text NOT NULL,
	"borrower_group" text,
	"product" text,
	"sector" text,
	"country" text,
	"state" text,
	"currency" text NOT NULL,
	"originated_on" date NOT NULL,
	"first_payment_on" date,
	"matures_on" date,
	"term_months" integer,
	"original_principal" numeric(20, 4) NOT NULL,
	"balance" numeric(20, 4),
	"commitment" numeric(20, 4),
	"interest_rate" numeric(12, 8),
	"rate_type" text,
	"rate_index" text,
	"rate_margin" numeric(12, 8),
	"amortization" text,
	"payment_frequency" text,
	"security_type" text,
	"collateral_value" numeric(20, 4),
	"seniority" text,
	"status" text NOT NULL,
	"days_past_due" integer,
	"past_due_amount" numeric(20, 4),
	"stage" smallint,
	"pd_12m" numeric(12, 8),
	"pd_lifetime" numeric(12, 8),
	"lgd" numeric(12, 8),
	"ccf" numeric(12, 8),
	"rating" text,
	"defaulted_on" date,
	"charged_off_on" date,
	"charged_off_amount" numeric(20, 4),
	"recovered_amount" numeric(20, 4),
	"attributes" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"import_id" uuid,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"known_from" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"known_to" timestamp(3) with time zone,
	"superseded_by_import" uuid,
	"superseded_by_user" uuid,
	CONSTRAINT "loan_versions_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "rating_scales" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"name" text NOT NULL,
	"agency" text,
	"description" text,
	"grades" jsonb NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "rating_scales_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "import_mappings" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"name" text NOT NULL,
	"target" text NOT NULL,
	"mapping" jsonb NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "import_mappings_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "default_rates" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"portfolio_id" uuid NOT NULL,
	"segment" text DEFAULT 'all' NOT NULL,
	"period" text NOT NULL,
	"basis" text NOT NULL,
	"source" text NOT NULL,
	"opening_performing" numeric(20, 4),
	"new_defaults" numeric(20, 4),
	"marginal" numeric(12, 8),
	"cumulative" numeric(12, 8),
	"annualised" numeric(12, 8),
	"formula_version" integer,
	"import_id" uuid,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "default_rates_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "rating_history" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"portfolio_id" uuid NOT NULL,
	"loan_id" uuid NOT NULL,
	"scale_id" uuid NOT NULL,
	"grade" text,
	"action" text,
	"outlook" text,
	"watch" text,
	"effective_from" date NOT NULL,
	"effective_to" date,
	"pd" numeric(12, 8),
	"reason" text,
	"actor_id" uuid,
	"import_id" uuid,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "rating_history_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
ALTER TABLE "imports" ADD COLUMN "as_of" date;
--> statement-breakpoint
ALTER TABLE "imports" ADD COLUMN "previous_as_of" date;
--> statement-breakpoint
ALTER TABLE "imports" ADD COLUMN "mapping_id" uuid;
--> statement-breakpoint
ALTER TABLE "imports" ADD COLUMN "encoding" text;
--> statement-breakpoint
ALTER TABLE "imports" ADD COLUMN "delimiter" text;
--> statement-breakpoint
ALTER TABLE "imports" ADD COLUMN "snapshots" integer DEFAULT 0 NOT NULL;
--> statement-breakpoint
ALTER TABLE "imports" ADD COLUMN "cancel_requested_at" timestamp(3) with time zone;
--> statement-breakpoint
ALTER TABLE "imports" ADD COLUMN "rolled_back_at" timestamp(3) with time zone;
--> statement-breakpoint
CREATE INDEX "stress_runs_created" ON "stress_runs" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE INDEX "stress_runs_portfolio_created" ON "stress_runs" USING btree ("org_id","portfolio_id","created_at","id");
--> statement-breakpoint
CREATE UNIQUE INDEX "stress_scenarios_name" ON "stress_scenarios" USING btree ("org_id","name");
--> statement-breakpoint
CREATE INDEX "stress_scenarios_created" ON "stress_scenarios" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE UNIQUE INDEX "watch_list_entries_once" ON "watch_list_entries" USING btree ("org_id","watch_list_id","loan_id");
--> statement-breakpoint
CREATE INDEX "watch_list_entries_loan" ON "watch_list_entries" USING btree ("org_id","loan_id");
--> statement-breakpoint
CREATE UNIQUE INDEX "watch_lists_name" ON "watch_lists" USING btree ("org_id","name");
--> statement-breakpoint
CREATE INDEX "watch_lists_created" ON "watch_lists" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE UNIQUE INDEX "loan_versions_snapshot" ON "loan_versions" USING btree ("org_id","portfolio_id","as_of","loan_id") WHERE as_of is not null and known_to is null;
--> statement-breakpoint
CREATE INDEX "loan_versions_listed" ON "loan_versions" USING btree ("org_id","portfolio_id","as_of","created_at","loan_id") WHERE as_of is not null;
--> statement-breakpoint
CREATE INDEX "loan_versions_loan" ON "loan_versions" USING btree ("org_id","loan_id","known_from");
--> statement-breakpoint
CREATE INDEX "loan_versions_superseded" ON "loan_versions" USING btree ("org_id","superseded_by_import") WHERE superseded_by_import is not null;
--> statement-breakpoint
CREATE UNIQUE INDEX "rating_scales_name" ON "rating_scales" USING btree ("org_id","name");
--> statement-breakpoint
CREATE INDEX "rating_scales_created" ON "rating_scales" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE UNIQUE INDEX "import_mappings_name" ON "import_mappings" USING btree ("org_id","name");
--> statement-breakpoint
CREATE INDEX "import_mappings_created" ON "import_mappings" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE UNIQUE INDEX "default_rates_period" ON "default_rates" USING btree ("org_id","portfolio_id","segment","period","basis","source");
--> statement-breakpoint
CREATE INDEX "default_rates_created" ON "default_rates" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE UNIQUE INDEX "rating_history_effective" ON "rating_history" USING btree ("org_id","loan_id","scale_id","effective_from","portfolio_id");
--> statement-breakpoint
CREATE INDEX "rating_history_from" ON "rating_history" USING btree ("org_id","effective_from","id");
--> statement-breakpoint
CREATE INDEX "rating_history_portfolio" ON "rating_history" USING btree ("org_id","portfolio_id","effective_from","id");
--> statement-breakpoint
CREATE INDEX "rating_history_created" ON "rating_history" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE INDEX "rating_history_scale_used" ON "rating_history" USING btree ("org_id","scale_id");
--> statement-breakpoint
ALTER TABLE "stress_runs" ADD CONSTRAINT "stress_runs_portfolio" FOREIGN KEY ("org_id","portfolio_id") REFERENCES "public"."portfolios"("org_id","id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "watch_list_entries" ADD CONSTRAINT "watch_list_entries_list" FOREIGN KEY ("org_id","watch_list_id") REFERENCES "public"."watch_lists"("org_id","id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "watch_list_entries" ADD CONSTRAINT "watch_list_entries_loan" FOREIGN KEY ("org_id","loan_id") REFERENCES "public"."loans"("org_id","id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "loan_versions" ADD CONSTRAINT "loan_versions_portfolio" FOREIGN KEY ("org_id","portfolio_id") REFERENCES "public"."portfolios"("org_id","id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "default_rates" ADD CONSTRAINT "default_rates_portfolio" FOREIGN KEY ("org_id","portfolio_id") REFERENCES "public"."portfolios"("org_id","id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "rating_history" ADD CONSTRAINT "rating_history_loan" FOREIGN KEY ("org_id","loan_id") REFERENCES "public"."loans"("org_id","id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "rating_history" ADD CONSTRAINT "rating_history_scale" FOREIGN KEY ("org_id","scale_id") REFERENCES "public"."rating_scales"("org_id","id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "portfolios" ADD CONSTRAINT "portfolios_rating_scale" FOREIGN KEY ("org_id","rating_scale_id") REFERENCES "public"."rating_scales"("org_id","id") ON DELETE no action ON UPDATE no action;
