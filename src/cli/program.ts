import { Command, CommanderError } from 'commander'
import { addAccountCommands } from './accounts.ts'
import { addBackupCommands } from './backup.ts'
import { addDbCommands } from './db.ts'
import { addDemoCommand } from './demo.ts'
import { addDoctorCommand } from './doctor.ts'
import { addOpenapiCommand } from './openapi.ts'
import { addSecretsCommand } from './secrets.ts'

/**
 * Runs one command; what goes wrong is said in a sentence on standard error, and sets the process's exit code.
 * @param args as on the command line, without the program's name
 */
export async function runCommand(args: string[]): Promise<void> {
  const program = new Command('tenon').description('Commands beside the service').showHelpAfterError()
  addDbCommands(program)
  addAccountCommands(program)
  addBackupCommands(program)
  addDemoCommand(program)
  addOpenapiCommand(program)
  addSecretsCommand(program)
  addDoctorCommand(program)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) console.error((error as Error).message)
    process.exitCode = 1
  }
}
