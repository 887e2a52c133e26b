import { Command, CommanderError } from 'commander'
import { addAccountCommands } from './cli/accounts.ts'
import { addBackupCommands } from './cli/backup.ts'
import { addDbCommands } from './cli/db.ts'
import { addDemoCommand } from './cli/demo.ts'
import { addDoctorCommand } from './cli/doctor.ts'
import { addOpenapiCommand } from './cli/openapi.ts'
import { addSecretsCommand } from './cli/secrets.ts'

const program = new Command('tenon').description('Commands beside the service').showHelpAfterError()
addDbCommands(program)
addAccountCommands(program)
addBackupCommands(program)
addDemoCommand(program)
addOpenapiCommand(program)
addSecretsCommand(program)
addDoctorCommand(program)

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) console.error((error as Error).message)
  process.exitCode = 1
}
