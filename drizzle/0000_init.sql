CREATE TABLE "audit_events" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"actor_id" uuid,
	"action" text NOT NULL,
	"subject_type" text NOT NULL,
	"subject_id" uuid,
	"before" jsonb,
	"after" jsonb,
	"request_id" text,
	"ip" text,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "audit_events_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "loans" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"portfolio_id" uuid NOT NULL,
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
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "loans_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "portfolios" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"code" text,
	"name" text NOT NULL,
	"description" text,
	"asset_class" text,
	"currency" text NOT NULL,
	"as_of" date,
	"default_definition" jsonb NOT NULL,
	"bucket_edges" integer[] NOT NULL,
	"rating_scale_id" uuid,
	"manager_id" uuid,
	"archived_at" timestamp(3) with time zone,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "portfolios_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"org_id" uuid NOT NULL,
	"principal" text NOT NULL,
	"route" text NOT NULL,
	"key" text NOT NULL,
	"request_hash" text NOT NULL,
	"answer" "bytea",
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_org_id_principal_route_key_pk" PRIMARY KEY("org_id","principal","route","key")
);
--> statement-breakpoint
CREATE TABLE "refresh_tokens" (
	"token_hash" "bytea" PRIMARY KEY NOT NULL,
	"session_id" uuid NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"used_at" timestamp(3) with time zone
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"user_id" uuid NOT NULL,
	"org_id" uuid,
	"user_agent" text,
	"ip" text,
	"remember_me" boolean DEFAULT false NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp(3) with time zone NOT NULL,
	"revoked_at" timestamp(3) with time zone,
	"revoked_reason" text
);
--> statement-breakpoint
CREATE TABLE "import_rejects" (
	"org_id" uuid NOT NULL,
	"import_id" uuid NOT NULL,
	"line" integer NOT NULL,
	"cells" text[] NOT NULL,
	"errors" text NOT NULL,
	CONSTRAINT "import_rejects_org_id_import_id_line_pk" PRIMARY KEY("org_id","import_id","line")
);
--> statement-breakpoint
CREATE TABLE "imports" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"portfolio_id" uuid NOT NULL,
	"target" text NOT NULL,
	"status" text NOT NULL,
	"mode" text NOT NULL,
	"on_error" text NOT NULL,
	"dry_run" boolean NOT NULL,
	"mapping" jsonb,
	"file_name" text,
	"header" text[],
	"bytes" bigint DEFAULT 0 NOT NULL,
	"received" integer DEFAULT 0 NOT NULL,
	"inserted" integer DEFAULT 0 NOT NULL,
	"updated" integer DEFAULT 0 NOT NULL,
	"unchanged" integer DEFAULT 0 NOT NULL,
	"rejected" integer DEFAULT 0 NOT NULL,
	"errors" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"failure" jsonb,
	"sha256" text,
	"principal" text NOT NULL,
	"idempotency_key" text,
	"request_hash" text NOT NULL,
	"created_by" uuid,
	"started_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp(3) with time zone,
	CONSTRAINT "imports_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "members" (
	"org_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"roles" text[] NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "members_org_id_id_pk" PRIMARY KEY("org_id","id")
);
--> statement-breakpoint
CREATE TABLE "organizations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"code" text NOT NULL,
	"contact_email" text,
	"is_active" boolean DEFAULT true NOT NULL,
	"settings" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" uuid PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"username" text,
	"full_name" text,
	"password_hash" text NOT NULL,
	"is_active" boolean DEFAULT true NOT NULL,
	"is_superuser" boolean DEFAULT false NOT NULL,
	"email_verified_at" timestamp(3) with time zone,
	"last_login_at" timestamp(3) with time zone,
	"locale" text,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE INDEX "audit_events_created" ON "audit_events" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE INDEX "audit_events_subject" ON "audit_events" USING btree ("org_id","subject_type","subject_id");
--> statement-breakpoint
CREATE UNIQUE INDEX "loans_number" ON "loans" USING btree ("org_id","portfolio_id","loan_number");
--> statement-breakpoint
CREATE INDEX "loans_created" ON "loans" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE INDEX "loans_portfolio_created" ON "loans" USING btree ("org_id","portfolio_id","created_at","id");
--> statement-breakpoint
CREATE UNIQUE INDEX "portfolios_code" ON "portfolios" USING btree ("org_id","code");
--> statement-breakpoint
CREATE INDEX "portfolios_created" ON "portfolios" USING btree ("org_id","created_at","id");
--> statement-breakpoint
CREATE INDEX "portfolios_name" ON "portfolios" USING btree ("org_id","name","id");
--> statement-breakpoint
CREATE INDEX "idempotency_keys_created" ON "idempotency_keys" USING btree ("created_at");
--> statement-breakpoint
CREATE INDEX "refresh_tokens_session_id" ON "refresh_tokens" USING btree ("session_id");
--> statement-breakpoint
CREATE INDEX "sessions_user_id" ON "sessions" USING btree ("user_id");
--> statement-breakpoint
CREATE INDEX "imports_started" ON "imports" USING btree ("org_id","started_at","id");
--> statement-breakpoint
CREATE INDEX "imports_portfolio" ON "imports" USING btree ("org_id","portfolio_id","sha256");
--> statement-breakpoint
CREATE UNIQUE INDEX "imports_idempotency" ON "imports" USING btree ("org_id","principal","idempotency_key");
--> statement-breakpoint
CREATE UNIQUE INDEX "members_user" ON "members" USING btree ("org_id","user_id");
--> statement-breakpoint
CREATE INDEX "members_user_id" ON "members" USING btree ("user_id");
--> statement-breakpoint
CREATE UNIQUE INDEX "organizations_code" ON "organizations" USING btree ("code");
--> statement-breakpoint
CREATE UNIQUE INDEX "users_email" ON "users" USING btree ("email");
--> statement-breakpoint
CREATE UNIQUE INDEX "users_username" ON "users" USING btree ("username");
--> statement-breakpoint
ALTER TABLE "loans" ADD CONSTRAINT "loans_portfolio" FOREIGN KEY ("org_id","portfolio_id") REFERENCES "public"."portfolios"("org_id","id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "portfolios" ADD CONSTRAINT "portfolios_manager" FOREIGN KEY ("org_id","manager_id") REFERENCES "public"."members"("org_id","user_id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "refresh_tokens" ADD CONSTRAINT "refresh_tokens_session_id_sessions_id_fk" FOREIGN KEY ("session_id") REFERENCES "public"."sessions"("id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_org_id_organizations_id_fk" FOREIGN KEY ("org_id") REFERENCES "public"."organizations"("id") ON DELETE set null ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "import_rejects" ADD CONSTRAINT "import_rejects_import" FOREIGN KEY ("org_id","import_id") REFERENCES "public"."imports"("org_id","id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "imports" ADD CONSTRAINT "imports_portfolio" FOREIGN KEY ("org_id","portfolio_id") REFERENCES "public"."portfolios"("org_id","id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "members" ADD CONSTRAINT "members_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;
