package deploy_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	samFile      = "sam/template.yaml"
	listenerFile = "terraform/listener.tf"
	triggerFile  = "terraform/trigger.tf"
	mainFile     = "terraform/main.tf"
	admin        = "arn:aws:iam::aws:policy/AdministratorAccess"
)

// A mutation is a change of a template that the checks must report: the first time
// that a text stands there, another one in its place.
type mutation struct{ name, file, old, new string }

// statement is a mutation of the policy of a Terraform role, which gets another one.
func statement(name, file, text string) mutation {
	const begin = "    Statement = [\n      {"
	return mutation{name, file, begin, "    Statement = [\n      " + text + ",\n      {"}
}

func mutations() []mutation {
	samStatement := "            Statement:\n              - Effect: Allow\n                Action:\n                  - dynamodb:BatchWriteItem"
	return []mutation{
		statement("an action and a resource without brackets", listenerFile, `{ Effect = "Allow", Action = "dynamodb:*", Resource = "*" }`),
		statement("actions over several lines", listenerFile, "{\n        Effect = \"Allow\"\n        Action = [\n          \"dynamodb:DeleteTable\",\n        ]\n        Resource = [\"*\"]\n      }"),
		statement("the resource before the action", listenerFile, "{\n        Effect = \"Allow\"\n        Resource = [\"*\"]\n        Action = [\"s3:GetObject\"]\n      }"),
		statement("a known resource that is written out", triggerFile, `{ Effect = "Allow", Action = "dynamodb:Query", Resource = "aws_dynamodb_table.events.arn" }`),
		statement("NotAction", triggerFile, `{ Effect = "Allow", NotAction = "iam:*", Resource = aws_dynamodb_table.events.arn }`),
		statement("NotResource", triggerFile, `{ Effect = "Allow", Action = "dynamodb:Query", NotResource = aws_dynamodb_table.events.arn }`),
		statement("a function that makes the statement", triggerFile, `merge({ Effect = "Allow" })`),
		{"an attachment", listenerFile, "resource \"aws_lambda_function\"", "resource \"aws_iam_role_policy_attachment\" \"admin\" {\n  role       = aws_iam_role.listener.name\n  policy_arn = \"" + admin + "\"\n}\n\nresource \"aws_lambda_function\""},
		{"managed policies", listenerFile, "  name = \"${var.name}-listener\"\n", "  name = \"${var.name}-listener\"\n  managed_policy_arns = [\"" + admin + "\"]\n"},
		{"a policy within the role", listenerFile, "  name = \"${var.name}-listener\"\n", "  name = \"${var.name}-listener\"\n  inline_policy {\n    name = \"x\"\n  }\n"},
		{"Deny", triggerFile, "Effect   = \"Allow\"", "Effect   = \"Deny\""},
		{"the policy of another role", triggerFile, "aws_iam_role.trigger.id", "aws_iam_role.listener.id"},
		{"whoever likes may take the role on", listenerFile, "{ Service = \"lambda.amazonaws.com\" }", "\"*\""},
		{"a filter for everything", triggerFile, `["INSERT"]`, `["INSERT", "MODIFY", "REMOVE"]`},
		{"removals whoever removed", triggerFile, "          userIdentity = { type = [\"Service\"], principalId = [\"dynamodb.amazonaws.com\"] }\n", ""},
		{"removals always", triggerFile, "var.on_expiry ? [1] : []", "[1]"},
		{"the other function", listenerFile, "= aws_lambda_function.listener.arn", "= aws_lambda_function.trigger.arn"},
		{"a source that is written out", listenerFile, "= aws_kinesis_stream.stream.arn\n  starting", "= \"aws_kinesis_stream.stream.arn\"\n  starting"},
		{"no bound of the age", "terraform/variables.tf", "default     = 43200", "default     = -1"},
		{"any age that one likes", "terraform/variables.tf", "var.maximum_age >= 60 && ", ""},
		{"too many retries", triggerFile, "= 100\n  maximum_record", "= 10000\n  maximum_record"},
		{"no limit of the memory", triggerFile, "      GOMEMLIMIT        = \"900MiB\"", "     "},
		{"a limit over the memory", triggerFile, "900MiB", "1100MiB"},
		{"the other table", triggerFile, "= aws_dynamodb_table.events.name", "= aws_dynamodb_table.faults.name"},
		{"a module", mainFile, "resource \"aws_sqs_queue\"", "module \"x\" {\n  source = \"./x\"\n}\n\nresource \"aws_sqs_queue\""},
		{"an alarm of the other function", mainFile, "aws_lambda_function.trigger.function_name", "aws_lambda_function.listener.function_name"},
		{"an alarm that never tells", mainFile, "threshold           = 300000", "threshold           = 300000000"},
		{"no TTL", mainFile, "enabled        = true", "enabled        = false"},
		{"no stream", mainFile, "stream_enabled   = true", "stream_enabled   = false"},
		{"a file that is not read", "terraform/more.tf.json", "", "{}"},

		{"managed policies", samFile, "  ListenerRole:\n    Type: AWS::IAM::Role\n    Properties:\n", "  ListenerRole:\n    Type: AWS::IAM::Role\n    Properties:\n      ManagedPolicyArns: [" + admin + "]\n"},
		{"policies of the function", samFile, "      CodeUri: ../build/lambda-listener\n", "      CodeUri: ../build/lambda-listener\n      Policies: AdministratorAccess\n"},
		{"policies of all functions", samFile, "    MemorySize: 256\n", "    MemorySize: 256\n    Layers: [x]\n"},
		{"an environment of all functions", samFile, "    MemorySize: 256\n", "    MemorySize: 256\n    Environment:\n      Variables:\n        X: y\n"},
		{"Deny", samFile, "Effect: Allow\n                Action:\n                  - dynamodb:Query", "Effect: Deny\n                Action:\n                  - dynamodb:Query"},
		{"a filter for everything", samFile, `{"eventName":["INSERT"]}`, `{"eventName":["INSERT","MODIFY","REMOVE"]}`},
		{"a filter of the listener", samFile, "      MaximumBatchingWindowInSeconds: 1\n", "      MaximumBatchingWindowInSeconds: 1\n      FilterCriteria: {Filters: [{Pattern: '{}'}]}\n"},
		{"the other function", samFile, "FunctionName: !Ref Listener", "FunctionName: !Ref Trigger"},
		{"a function that is written out", samFile, "FunctionName: !Ref Listener", "FunctionName: Listener"},
		{"no bisecting", samFile, "BisectBatchOnFunctionError: true", "BisectBatchOnFunctionError: false"},
		{"no bound of the age", samFile, "Default: 43200", "Default: -1"},
		{"any age that one likes", samFile, "MinValue: 60", "MinValue: -1"},
		{"too many retries", samFile, "MaximumRetryAttempts: 100", "MaximumRetryAttempts: 10000"},
		{"no end of retries", samFile, "MaximumRetryAttempts: 100", "MaximumRetryAttempts: -1"},
		{"NotAction", samFile, samStatement, strings.Replace(samStatement, "              - Effect", "              - Effect: Allow\n                NotAction: iam:*\n                Resource: \"*\"\n              - Effect", 1)},
		{"an action for everything", samFile, "                  - dynamodb:Query\n", "                  - dynamodb:Query\n                  - dynamodb:*\n"},
		{"a name that stands twice", samFile, "      BatchSize: 100\n", "      BatchSize: 100\n      BatchSize: 100\n"},
		{"no limit of the memory", samFile, "GOMEMLIMIT: 900MiB", ""},
		{"a limit over the memory", samFile, "GOMEMLIMIT: 900MiB", "GOMEMLIMIT: 1100MiB"},
		{"no table", samFile, "          TABLE_NAME: !Ref Events\n", ""},
		{"a table that is written out", samFile, "TABLE_NAME: !Ref Events", "TABLE_NAME: !Sub Events"},
		{"no TTL", samFile, "        Enabled: true", "        Enabled: false"},
		{"another kind of resource", samFile, "  TriggerLogs:\n", "  Admin:\n    Type: AWS::IAM::ManagedPolicy\n  TriggerLogs:\n"},
		{"a stream only now and then", samFile, "  Stream:\n    Type", "  Stream:\n    Condition: WithExpiry\n    Type"},
		{"a file that is not read", "sam/more.yaml", "", "Resources: {}"},

		{"the code calls more", "actions.json", `["dynamodb:Query"]`, `["dynamodb:Query", "dynamodb:UpdateItem"]`},
		{"the code calls less", "actions.json", `["dynamodb:BatchWriteItem"]`, `[]`},
	}
}

// Each of these went unnoticed once, or would have.
func TestTheChecksReportWhatIsWrong(t *testing.T) {
	original := readPipeline(t)
	for _, m := range mutations() {
		t.Run(m.file+" "+m.name, func(t *testing.T) {
			text := original[m.file]
			require.Contains(t, text, m.old)
			require.Error(t, original.with(m.file, strings.Replace(text, m.old, m.new, 1)).check())
		})
	}
}

// with has another text in one of the files.
func (p pipeline) with(file, text string) pipeline {
	changed := make(pipeline)
	for name, other := range p {
		changed[name] = other
	}
	changed[file] = text
	return changed
}

// There is no line that could go: whatever is set is looked at.
func TestTheChecksMissEveryLine(t *testing.T) {
	original := readPipeline(t)
	nothing := regexp.MustCompile(`^\s*(#.*)?$`)
	for file, text := range original {
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			if nothing.MatchString(line) || strings.Contains(line, "GOMEMLIMIT") { // the listener can do without
				continue
			}
			without := strings.Join(lines[:i], "\n") + "\n" + strings.Join(lines[i+1:], "\n")
			check := pipeline.checkSAM
			if strings.HasPrefix(file, "terraform/") {
				check = pipeline.checkTerraform
			}
			if check(original.with(file, without)) == nil {
				t.Errorf("%s:%d may be left out: %s", file, i+1, line)
			}
		}
	}
}
