resource "aws_cloudwatch_log_group" "trigger" {
  name              = "/aws/lambda/${var.name}-trigger"
  retention_in_days = 30
}

resource "aws_iam_role" "trigger" {
  name = "${var.name}-trigger"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "trigger" {
  name = "trigger"
  role = aws_iam_role.trigger.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["dynamodb:Query"]
        Resource = [aws_dynamodb_table.events.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:BatchWriteItem"]
        Resource = [aws_dynamodb_table.faults.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
        Resource = [aws_dynamodb_table.events.stream_arn]
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:ListStreams"]
        Resource = ["${aws_dynamodb_table.events.arn}/stream/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.failures.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.trigger.arn}:*"]
      },
    ]
  })
}

resource "aws_lambda_function" "trigger" {
  function_name    = "${var.name}-trigger"
  role             = aws_iam_role.trigger.arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = ["arm64"]
  memory_size      = 1024 # 8 histories at once (mes.DefaultConcurrency) of up to 64 MiB (mes.DefaultMaxBytes)
  timeout          = 60
  filename         = var.trigger_zip
  source_code_hash = filebase64sha256(var.trigger_zip)
  depends_on       = [aws_cloudwatch_log_group.trigger, aws_iam_role_policy.trigger]

  environment {
    variables = {
      TABLE_NAME        = aws_dynamodb_table.events.name
      FAULTS_TABLE_NAME = aws_dynamodb_table.faults.name
      EVENT_TYPES       = var.wait_for
      ON_EXPIRY         = tostring(var.on_expiry)
      GOMEMLIMIT        = "900MiB" # rather collect more often than be ended
    }
  }
}

resource "aws_lambda_event_source_mapping" "trigger" {
  function_name                  = aws_lambda_function.trigger.arn
  event_source_arn               = aws_dynamodb_table.events.stream_arn
  starting_position              = "TRIM_HORIZON"
  batch_size                     = 100
  function_response_types        = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = 100
  maximum_record_age_in_seconds  = var.maximum_age

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.failures.arn
    }
  }

  filter_criteria {
    filter {
      pattern = jsonencode({ eventName = ["INSERT"] })
    }

    dynamic "filter" {
      for_each = var.on_expiry ? [1] : []
      content {
        pattern = jsonencode({
          eventName    = ["REMOVE"]
          userIdentity = { type = ["Service"], principalId = ["dynamodb.amazonaws.com"] }
        })
      }
    }
  }
}
