// What a person should be woken for. The log lines are those of the stages; docs/azure.md names each alert's first step.
param location string
param tags object
param token string

@description('Where to mail; empty: nowhere.')
param email string
param workspaceId string
param systemTopicId string
param batchAccountId string

var receivers = empty(email) ? [] : [
  {
    name: 'operators'
    emailAddress: email
    useCommonAlertSchema: true
  }
]
var rules = loadJsonContent('../alerts.json')

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'darkroom'
    emailReceivers: receivers
  }
}

resource fromLogs 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules.logs: {
  name: 'darkroom-${rule.name}-${token}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Darkroom: ${rule.title}'
    description: rule.description
    enabled: true
    severity: rule.severity
    scopes: [workspaceId]
    evaluationFrequency: rule.every
    windowSize: rule.window
    autoMitigate: true
    skipQueryValidation: true // the tables appear with the first log line, after this deployment
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [people.id]
    }
  }
}]

var metricScopes = {
  systemTopic: systemTopicId
  batchAccount: batchAccountId
}

resource fromMetrics 'Microsoft.Insights/metricAlerts@2018-03-01' = [for rule in rules.metrics: {
  name: 'darkroom-${rule.name}-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: rule.description
    enabled: true
    severity: rule.severity
    scopes: [metricScopes[rule.scope]]
    evaluationFrequency: rule.every
    windowSize: rule.window
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: rule.name
          criterionType: 'StaticThresholdCriterion'
          metricName: rule.metric
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: rule.threshold
        }
      ]
    }
    actions: [
      {
        actionGroupId: people.id
      }
    ]
  }
}]
