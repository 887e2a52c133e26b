import type { FieldHint } from '../../../db/import-target.ts'
import type { LoanFields } from './schemas.ts'

/**
 * By what loan tapes know the fields of a loan: the words of the EBA NPL templates, of the ESMA and SEC (Regulation AB
 * II) securitisation disclosures, of the American housing agencies and of the SBA, and those that banks use themselves.
 * Abbreviations need not be told: `Nr`, `Dt`, `Amt`, `ChgOff` and their like are spelt out before names are compared.
 */
export const loanHints: Partial<Record<keyof LoanFields, FieldHint>> = {
  loan_number: {
    names: [
      ...['loan number check digit', 'loan id', 'loan identifier', 'contract identifier', 'contract number'],
      ...['underlying exposure identifier', 'original underlying exposure identifier', 'instrument identifier'],
      ...['asset number', 'account number', 'facility number', 'facility id', 'contract id', 'instrument id'],
      ...['loan reference', 'exposure id', 'deal id', 'loan', 'id'],
    ],
  },
  borrower_name: {
    names: [
      ...['borrower', 'obligor name', 'counterparty name', 'customer name', 'client name', 'debtor name'],
      ...['obligor', 'counterparty', 'debtor', 'customer', 'company name', 'name of counterparty', 'name'],
    ],
  },
  borrower_group: {
    names: [
      ...['group name', 'counterparty group', 'group of connected clients', 'group identifier', 'group id'],
      ...['sponsor', 'parent name', 'parent company', 'relationship name', 'customer group', 'group'],
    ],
  },
  product: {
    names: [
      'product type',
      'loan type',
      'type of instrument',
      'instrument type',
      'asset type',
      'loan product',
      'program',
    ],
  },
  sector: {
    names: [
      ...[
        'naics',
        'naics code',
        'nace',
        'nace code',
        'nace industry code',
        'sic code',
        'sic',
        'industry code',
        'industry',
      ],
      ...['industry segment', 'economic sector', 'sector of activity'],
    ],
  },
  country: {
    names: ['country code', 'country of residence', 'borrower country', 'obligor country', 'geographic region country'],
  },
  state: {
    names: [
      'borrower state',
      'property state',
      'obligor geographic location',
      'geographic region',
      'region',
      'province',
    ],
  },
  currency: {
    names: ['currency code', 'loan currency', 'currency of loan', 'currency denomination', 'principal currency'],
    typical: Intl.supportedValuesOf('currency'),
    parent: 'currency',
  },
  originated_on: {
    names: [
      ...['origination date', 'disbursement date', 'funding date', 'funded date', 'date of origination', 'start date'],
      ...['contract date', 'loan date', 'note date', 'issue date', 'issue d', 'opening date', 'open date'],
      ...['closing date', 'drawdown date', 'inception date', 'booking date', 'advance date', 'approval date'],
    ],
    fallbacks: ['approval date', 'contract date', 'application date', 'commitment date', 'closing date'],
  },
  first_payment_on: {
    names: ['first payment date', 'first instalment date', 'first installment date', 'first due date'],
  },
  matures_on: {
    names: [
      ...[
        'maturity date',
        'loan maturity date',
        'final maturity date',
        'date of maturity',
        'contractual maturity date',
      ],
      ...['final contractual maturity date', 'current maturity date', 'legal final maturity date', 'end date'],
      ...['expiry date', 'maturity'],
    ],
  },
  term_months: {
    names: ['term', 'original term', 'original loan term', 'loan term', 'term in months', 'original amortization term'],
  },
  original_principal: {
    names: [
      ...[
        'disbursement gross',
        'original loan amount',
        'original principal balance',
        'original balance',
        'loan amount',
      ],
      ...['original unpaid principal balance', 'original upb', 'original amount', 'disbursed amount', 'funded amount'],
      ...['disbursement amount', 'amount financed', 'initial amount', 'principal amount', 'note amount'],
      ...['contract amount', 'face amount', 'amount'],
    ],
  },
  balance: {
    names: [
      ...[
        'current principal balance',
        'current balance',
        'outstanding balance',
        'principal balance',
        'unpaid principal balance',
      ],
      ...[
        'outstanding principal',
        'outstanding nominal amount',
        'current actual upb',
        'current upb',
        'upb',
        'out principal',
      ],
      ...[
        'reporting period actual end balance amount',
        'total balance',
        'gross carrying amount',
        'exposure',
        'drawn amount',
      ],
    ],
  },
  commitment: {
    names: ['commitment amount', 'credit limit', 'total credit limit', 'facility amount', 'limit', 'committed amount'],
  },
  interest_rate: {
    names: [
      ...[
        'current interest rate',
        'original interest rate',
        'rate',
        'note rate',
        'coupon',
        'coupon rate',
        'nominal rate',
      ],
      ...['interest rate percentage', 'original interest rate percentage', 'contract rate', 'apr'],
    ],
    isShare: true,
  },
  rate_type: {
    names: ['interest rate type', 'type of interest rate', 'original interest rate type', 'fixed or floating'],
    words: {
      fixed: ['fix', 'f', 'frm', 'fixed rate'],
      floating: [
        'floating rate',
        'float',
        'fl',
        'v',
        'variable',
        'variable rate',
        'arm',
        'adjustable',
        'adjustable rate',
      ],
    },
  },
  rate_index: {
    names: ['index', 'interest rate index', 'current interest rate index', 'reference rate', 'base rate', 'index name'],
  },
  rate_margin: {
    names: ['margin', 'spread', 'interest rate margin', 'current interest rate margin', 'gross margin', 'arm margin'],
    isShare: true,
  },
  amortization: {
    names: ['amortisation type', 'amortization type', 'amortisation', 'repayment type', 'interest type'],
    words: {
      annuity: ['fully amortizing', 'french', 'level payment', 'level pay'],
      linear: ['german', 'constant principal', 'straight line'],
      bullet: ['balloon', 'in fine'],
      interest_only: ['interest only', 'io'],
      revolving: ['revolver', 'line of credit'],
    },
  },
  payment_frequency: {
    names: ['payment frequency type', 'scheduled interest payment frequency', 'repayment frequency', 'frequency'],
    words: {
      weekly: ['w', 'week'],
      biweekly: ['bi weekly', 'fortnightly', '26'],
      monthly: ['m', 'month', '12'],
      quarterly: ['q', 'quarter', '4'],
      semiannual: ['s', 'semi annual', 'semi annually', 'half yearly', '2'],
      annual: ['a', 'y', 'annually', 'yearly', 'year', '1'],
      at_maturity: ['at maturity', 'bullet', 'once'],
    },
  },
  security_type: { names: ['security', 'collateral type', 'type of collateral', 'lien type', 'secured by'] },
  collateral_value: {
    names: [
      'current valuation amount',
      'valuation amount',
      'property value',
      'market value',
      'appraised value',
      'collateral amount',
    ],
  },
  seniority: { names: ['ranking', 'debt seniority', 'seniority of claim'] },
  days_past_due: {
    names: [
      ...['dpd', 'days in past due', 'days delinquent', 'number of days in arrears', 'days in arrears', 'days overdue'],
      ...['number of days past due', 'current delinquency status', 'arrears days'],
    ],
  },
  past_due_amount: {
    names: ['arrears balance', 'arrears amount', 'amount past due', 'overdue amount', 'arrears', 'amount in arrears'],
  },
  stage: { names: ['ifrs 9 stage', 'ifrs stage', 'accounting stage', 'impairment stage', 'ecl stage'] },
  pd_12m: { names: ['pd', 'probability of default', 'pd 12 months', 'one year pd', '12 month pd'], isShare: true },
  pd_lifetime: { names: ['lifetime pd', 'lifetime probability of default'], isShare: true },
  lgd: { names: ['loss given default', 'bank internal loss given default', 'lgd percentage'], isShare: true },
  ccf: { names: ['credit conversion factor', 'conversion factor'], isShare: true },
  rating: {
    names: ['internal rating', 'credit rating', 'risk rating', 'current rating', 'rating grade', 'grade', 'risk grade'],
  },
  status: {
    names: [
      ...['mis status', 'loan status', 'account status', 'status of loan', 'current status', 'performance status'],
      ...['contract status', 'loan state', 'zero balance code description'],
    ],
    words: {
      current: ['active', 'performing', 'live', 'open', 'in repayment', 'regular', 'c'],
      delinquent: ['arrears', 'in arrears', 'past due', 'late', 'overdue', 'delinq', 'in grace period', 'watch'],
      default: ['defaulted', 'd', 'npl', 'non performing', 'nonperforming', 'unlikely to pay', 'impaired'],
      charged_off: ['chgoff', 'charge off', 'charged off', 'chargeoff', 'co', 'written off', 'write off', 'loss'],
      paid: ['p i f', 'pif', 'paid in full', 'fully paid', 'paid off', 'repaid', 'redeemed', 'closed', 'matured'],
      prepaid: ['prepayment', 'prepaid in full', 'early repayment', 'paid early'],
      sold: ['sale', 'transferred', 'repurchased'],
    },
    // A tape that names only ends leaves the loans that still run without a word.
    empty: {
      value: 'current',
      unlessSaid: ['current', 'delinquent'],
      unlessFilled: ['charged_off_on', 'defaulted_on'],
    },
  },
  defaulted_on: { names: ['default date', 'date of default', 'date of the default', 'npl date'] },
  charged_off_on: { names: ['charge off date', 'charged off date', 'write off date', 'date of write off'] },
  charged_off_amount: {
    names: [
      ...['charge off principal gross', 'charge off amount', 'charged off principal amount', 'charge off principal'],
      ...['write off amount', 'allocated losses', 'loss amount'],
    ],
  },
  recovered_amount: {
    names: ['recoveries', 'recovered principal', 'recovery amount', 'cumulative recoveries', 'recovered'],
  },
}
